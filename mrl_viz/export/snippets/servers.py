"""Snippets for servers that do not install with pip. They are written to the current clients, and not run by the tests."""

from __future__ import annotations

from mrl_viz.export.snippets.parts import BIT_SCORE, HAMMING_NOTE, Need, Part, block
from mrl_viz.retrieval.ann import HNSW_BUILD_CANDIDATES, HNSW_LINKS, HNSW_SEARCH_CANDIDATES, pq_parts

# Elasticsearch codes bits from so many dimensions up, and looks at no more candidates than this.
BBQ_LEAST_DIMS, MOST_CANDIDATES = 64, 10_000
NOT_RUN = "This needs a {} server, which does not install with pip: the code was not tried."


def weaviate(need: Need) -> Part:
    """Weaviate, client 4.16 or newer: named vectors, reranked here."""
    plan, notes = need.plan, [NOT_RUN.format("Weaviate")]
    has_graph = plan.kind != "exact"
    if plan.dtype == "float16":
        notes.append("Weaviate has no float16 vectors; float32 is used instead, at twice the bytes.")
    if plan.dtype == "int8":
        notes.append(
            "Weaviate's 8-bit codes (RQ) rotate the vectors first, and its flat index has no other 8-bit codes."
        )
    if plan.kind == "ivf":
        notes.append("Weaviate has no inverted lists; its HNSW graph is used instead.")
    if plan.kind == "pq":
        notes.append(
            "Weaviate's product codes come with an HNSW graph, and are learned once enough objects are stored."
        )
    if plan.dtype in ("int8", "binary") or plan.kind == "pq":
        notes.append(
            "Weaviate rescores the codes' best with the float32 vectors of the same width, which it keeps on disk."
        )
    quantizer = {
        "int8": "Configure.VectorIndex.Quantizer.rq(bits=8)",
        "binary": "Configure.VectorIndex.Quantizer.bq()",
        "pq": f"Configure.VectorIndex.Quantizer.pq(segments={pq_parts(plan.dim)})",
    }.get(plan.kind if has_graph else plan.dtype)
    graph = f"\nmax_connections={HNSW_LINKS},\nef_construction={HNSW_BUILD_CANDIDATES},\nef=LOOK,"
    look = f"LOOK = {max(HNSW_SEARCH_CANDIDATES, *(size for size, _ in need.rerank), 0)}  # candidates of a search"
    build = block(
        '''
        def build(vectors):
            """A client with the collection `Item`, filled."""
            rows = whole(vectors)
            client = weaviate.connect_to_local()
            client.collections.create(
                "Item",
                properties=[Property(name="row", data_type=DataType.INT)],
                vector_config=[
                    Configure.Vectors.self_provided(
                        name="short",
                        vector_index_config=Configure.VectorIndex.<index>(
                            distance_metric=VectorDistances.DOT,<graph>
                            <quantizer>
                        ),
                    ),
                    <wide>
                ],
            )
            columns = {"short": cut(rows, DIM)<column>}
            with client.batch.fixed_size(1000) as batch:
                for i in range(len(rows)):
                    vector = {name: column[i].tolist() for name, column in columns.items()}
                    batch.add_object("Item", properties={"row": i}, vector=vector)
            if client.batch.failed_objects:
                raise RuntimeError(f"{len(client.batch.failed_objects)} objects were not stored")
            return client
        ''',
        index="hnsw" if has_graph else "flat",
        graph=graph if has_graph else "",
        quantizer=f"quantizer={quantizer}," if quantizer else "",
        wide="Configure.Vectors.self_provided(\n"
        '    name="wide",  # a flat index stays on disk\n'
        "    vector_index_config=Configure.VectorIndex.flat(distance_metric=VectorDistances.DOT),\n),"
        if need.rerank
        else "",
        column=', "wide": cut(rows, RERANK[-1][1])' if need.rerank else "",
    )
    finish = (
        'wide = [item.vector["wide"] for item in found]\n'
        'return rerank([item.properties["row"] for item in found], wide, query, k)'
        if need.rerank
        else '# Weaviate\'s "dot" distance is minus the dot product.\n'
        'return [(item.properties["row"], -item.metadata.distance) for item in found]'
    )
    search = block(
        '''
        def search(client, query, k=10):
            """The k best (row, cosine) pairs, best first."""
            <start>
            found = client.collections.get("Item").query.near_vector(
                near_vector=cut(query, DIM)[0].tolist(),
                target_vector="short",
                limit=<first>,
                <more>
            ).objects
            <finish>
        ''',
        start=need.start,
        first=need.first,
        more='include_vector=["wide"],' if need.rerank else "return_metadata=MetadataQuery(distance=True),",
        finish=finish,
    )
    imports = ["import weaviate", "from weaviate.classes.config import Configure, DataType, Property, VectorDistances"]
    if not need.rerank:
        imports.append("from weaviate.classes.query import MetadataQuery")
    return Part(
        "Weaviate",
        'pip install "weaviate-client>=4.16" numpy  # and a Weaviate server',
        tuple(imports),
        (look if has_graph else "", build, search),
        executed=False,
        notes=tuple(notes),
        uses=frozenset({"rerank"} if need.rerank else set()),
    )


def elasticsearch(need: Need) -> Part:
    """Elasticsearch 9: a knn query, and one rescore for each rerank."""
    plan, notes = need.plan, [NOT_RUN.format("Elasticsearch")]
    kind = {"float32": "flat", "float16": "flat", "int8": "int8_flat", "binary": "bbq_flat"}[plan.dtype]
    if plan.kind != "exact":
        kind = "hnsw"
    if plan.dtype == "float16":
        notes.append("Elasticsearch is given float32 here, at twice the bytes of float16.")
    if plan.dtype == "binary" and plan.dim < BBQ_LEAST_DIMS:
        kind = "int8_flat"
        notes.append(f"Elasticsearch codes bits from {BBQ_LEAST_DIMS} dims up; 8-bit codes are used instead.")
    if kind == "int8_flat":
        notes.append(
            "Elasticsearch takes one int8 range for all coordinates, codes the query too, and keeps float32 on disk."
        )
    if kind == "bbq_flat":
        notes.append(
            "Elasticsearch's bits are centred and corrected (BBQ), the query has 4 bits, and the best are rescored."
        )
    if plan.kind in ("ivf", "pq"):
        what = "inverted lists" if plan.kind == "ivf" else "product codes"
        notes.append(f"Elasticsearch has no {what} as planned; an HNSW graph over float32 is used instead.")
    options = f'"type": "{kind}"'
    if kind == "hnsw":
        options += f', "m": {HNSW_LINKS}, "ef_construction": {HNSW_BUILD_CANDIDATES}'
    dims = list(dict.fromkeys(dim for _, dim in need.rerank))
    mapping = block(
        """
        MAPPINGS = {
            "properties": {
                "short": {
                    "type": "dense_vector",
                    "dims": DIM,
                    "index": True,
                    "similarity": "dot_product",  # of vectors of length 1, as `cut` makes them
                    "index_options": {<options>},
                },
                <wide>
            }
        }
        """,
        options=options,
        wide="\n".join(f'"at_{dim}": {{"type": "dense_vector", "dims": {dim}, "index": False}},' for dim in dims),
    )
    build = block(
        '''
        def build(vectors, url="http://localhost:9200"):
            """A client of the index `items`, filled."""
            rows = whole(vectors)
            client = Elasticsearch(url)
            # One shard: each shard would make its own shortlist.
            client.indices.create(index="items", settings={"number_of_shards": 1}, mappings=MAPPINGS)
            columns = {"short": cut(rows, DIM)<columns>}
            helpers.bulk(
                client,
                (
                    {"_index": "items", "_id": str(i)} | {name: column[i].tolist() for name, column in columns.items()}
                    for i in range(len(rows))
                ),
            )
            client.indices.refresh(index="items")
            return client
        ''',
        columns="".join(f', "at_{dim}": cut(rows, {dim})' for dim in dims),
    )
    rescore = block(
        '''
        def rescored(query, size, dim):
            """One rerank: the best `size` by the float32 vectors of one width."""
            script = {"source": f"dotProduct(params.query, 'at_{dim}') + 1.0", "params": {"query": cut(query, dim)[0].tolist()}}
            by_cosine = {"script_score": {"query": {"match_all": {}}, "script": script}}
            scored = {"rescore_query": by_cosine, "query_weight": 0, "rescore_query_weight": 1}
            return {"window_size": size, "query": scored}
        '''
    )
    search = block(
        '''
        def search(client, query, k=10):
            """The k best (row, cosine) pairs, best first."""
            <start>
            knn = {
                "field": "short",
                "query_vector": cut(query, DIM)[0].tolist(),
                "k": <first>,
                "num_candidates": min(<most>, max(<first>, <look>)),
            }
            found = client.search(
                index="items",
                query={"knn": knn},
                <rescore>
                size=k,
                source=False,
            )
            return [(int(hit["_id"]), <score>) for hit in found["hits"]["hits"]]
        ''',
        start=need.start,
        first=need.first,
        most=MOST_CANDIDATES,
        look=HNSW_SEARCH_CANDIDATES,
        rescore="rescore=[rescored(query, size, dim) for size, dim in RERANK]," if need.rerank else "",
        score='hit["_score"] - 1' if need.rerank else '2 * hit["_score"] - 1',
    )
    if need.rerank and need.rerank[0][0] > MOST_CANDIDATES:
        notes.append(
            f"Elasticsearch looks at no more than {MOST_CANDIDATES:,} candidates; raise its limits or shorten the list."
        )
    return Part(
        "Elasticsearch",
        'pip install "elasticsearch>=9,<10" numpy  # and an Elasticsearch 9 server',
        ("from elasticsearch import Elasticsearch, helpers",),
        (mapping, build, *([rescore] if need.rerank else []), search),
        executed=False,
        notes=tuple(notes),
    )


def vespa(need: Need) -> Part:
    """Vespa: the schema of the application and the client; reranks are its second and global phase."""
    plan, notes = need.plan, [NOT_RUN.format("Vespa")]
    reranks = list(need.rerank)
    if len(reranks) > 2:
        left_out = ", ".join(str(dim) for _, dim in reranks[1:-1])
        notes.append(f"Vespa reranks in two phases; the passes at {left_out} dims are left out.")
        reranks = [reranks[0], reranks[-1]]
    if plan.kind in ("ivf", "pq"):
        what = "inverted lists" if plan.kind == "ivf" else "product codes"
        notes.append(f"Vespa has no {what}; its HNSW graph over float32 is used instead.")
    if plan.dtype == "float16":
        notes.append("Vespa's 16-bit floats are bfloat16, which keep fewer digits than float16.")
    if plan.dtype == "int8":
        notes.append("Vespa compares int8 with int8: the query is coded too, with one scale for all coordinates.")
    if plan.dtype == "binary":
        notes.append(HAMMING_NOTE)
    has_graph = plan.kind != "exact"
    cells = {"float16": "bfloat16", "int8": "int8", "binary": "int8"}.get(plan.dtype, "float")
    width = (plan.dim + 7) // 8 if plan.dtype == "binary" else plan.dim
    metric = {"int8": "angular", "binary": "hamming"}.get(plan.dtype, "prenormalized-angular")
    expression = {
        "int8": "cos(distance(field, short))",
        "binary": f"1 - 2 * distance(field, short) / {plan.dim}",
    }.get(plan.dtype, "sum(query(short) * attribute(short))")
    dims = list(dict.fromkeys(dim for _, dim in reranks))
    phases = [
        f"{name} {{\n    rerank-count: {size}\n    expression: sum(query(at_{dim}) * attribute(at_{dim}))\n}}"
        for name, (size, dim) in zip(("second-phase", "global-phase"), reranks)
    ]
    schema = block(
        '''
        # schemas/item.sd of the application that `vespa deploy` takes.
        SCHEMA = """
        schema item {
            document item {
                field row type int {
                    indexing: attribute | summary
                }
                field short type tensor<<cells>>(x[<width>]) {
                    indexing: attribute<indexed>
                    attribute {
                        distance-metric: <metric>
                    }
                    <graph>
                }
                <wide>
            }
            rank-profile plan {
                inputs {
                    query(short) tensor<<queried>>(x[<width>])
                    <inputs>
                }
                first-phase {
                    expression: <expression>
                }
                <phases>
            }
        }
        """
        ''',
        cells=cells,
        queried="float" if cells == "bfloat16" else cells,
        width=width,
        indexed=" | index" if has_graph else "",
        metric=metric,
        graph="index {\n    hnsw {\n"
        f"        max-links-per-node: {HNSW_LINKS}\n        neighbors-to-explore-at-insert: {HNSW_BUILD_CANDIDATES}\n    }}\n}}"
        if has_graph
        else "",
        wide="\n".join(
            f"field at_{dim} type tensor<float>(x[{dim}]) {{\n    indexing: attribute\n    attribute: paged\n}}"
            for dim in dims
        ),
        inputs="\n".join(f"query(at_{dim}) tensor<float>(x[{dim}])" for dim in dims),
        expression=expression,
        phases="\n".join(phases),
    )
    coded = plan.dtype == "int8"
    short = {"int8": "int8(cut({}, DIM), scale)", "binary": "bits(cut({}, DIM)).view(np.int8)"}.get(
        plan.dtype, "cut({}, DIM)"
    )
    stored = block(
        '''
        def stored(response, row):
            """Says which row Vespa refused."""
            if not response.is_successful():
                raise RuntimeError(f"row {row} was not stored: {response.get_json()}")
        '''
    )
    build = block(
        '''
        def build(vectors, url="http://localhost", port=8080):
            """A client of the deployed application, filled<beside>."""
            rows = whole(vectors)
            client = Vespa(url=url, port=port)
            <scale>
            columns = {"short": <short><columns>}
            items = (
                {"id": str(i), "fields": {"row": i} | {name: column[i].tolist() for name, column in columns.items()}}
                for i in range(len(rows))
            )
            client.feed_iterable(items, schema="item", callback=stored)
            return <result>
        ''',
        beside=", and the scale of its codes" if coded else "",
        scale="scale = 127 / max(float(np.abs(cut(rows, DIM)).max()), 1e-12)" if coded else "",
        short=short.format("rows"),
        columns="".join(f', "at_{dim}": cut(rows, {dim})' for dim in dims),
        result="client, scale" if coded else "client",
    )
    hits = f"max({need.first}, {HNSW_SEARCH_CANDIDATES})" if has_graph else need.first
    search = block(
        '''
        def search(<built>, query, k=10):
            """The k best (row, <score>) pairs, best first."""
            <unpack>
            <start>
            body = {
                "yql": f"select row from item where {{targetHits: {<hits>}}}nearestNeighbor(short, short)",
                "ranking": "plan",
                "hits": k,
                "input.query(short)": <short>[0].tolist(),
                <inputs>
            }
            found = client.query(body=body)
            return [(hit["fields"]["row"], hit["relevance"]) for hit in found.hits]
        ''',
        start=need.start,
        score=BIT_SCORE if plan.dtype == "binary" and not reranks else "cosine",
        built="built" if coded else "client",
        unpack="client, scale = built" if coded else "",
        hits=hits,
        short=short.format("query"),
        inputs="\n".join(f'"input.query(at_{dim})": cut(query, {dim})[0].tolist(),' for dim in dims),
    )
    uses = {"int8": {"int8"}, "binary": {"bits"}}.get(plan.dtype, set())
    return Part(
        "Vespa",
        "pip install pyvespa numpy  # and a Vespa application with this schema",
        ("from vespa.application import Vespa",),
        (schema, stored, build, search),
        executed=False,
        notes=tuple(notes),
        uses=frozenset(uses),
    )
