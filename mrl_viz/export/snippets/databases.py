"""Snippets for the databases that have a pip-installed stand-in; the tests run them on it."""

from __future__ import annotations

from mrl_viz.export.snippets.parts import BIT_SCORE, HAMMING_NOTE, N_LISTS, Need, Part, block
from mrl_viz.retrieval.ann import HNSW_BUILD_CANDIDATES, HNSW_LINKS, HNSW_SEARCH_CANDIDATES, pq_parts

# Milvus' own default number of lists; all of them are searched where the plan is exact.
MILVUS_LISTS = 128
# pgvector's HNSW and IVFFlat index at most so many dimensions of `vector`; twice as many of `halfvec`.
PGVECTOR_INDEXED_DIMS = 2000


def pgvector(need: Need) -> Part:
    """PostgreSQL with pgvector: the rerank is a query around the query."""
    plan, notes, kind, dtype = need.plan, [], need.plan.kind, need.plan.dtype
    if dtype == "int8":
        dtype = "float16"
        notes.append("pgvector has no int8 vectors; float16 (halfvec) is used instead, at twice the bytes.")
    if kind == "pq":
        kind = "hnsw"
        notes.append("pgvector has no product quantization; an HNSW index is used instead, at many times the bytes.")
    if kind != "exact" and plan.dim > PGVECTOR_INDEXED_DIMS:
        dtype = "float16"
        notes.append(f"pgvector indexes at most {PGVECTOR_INDEXED_DIMS:,} dims of float32; float16 (halfvec) is used.")
    if dtype == "binary":
        notes.append(HAMMING_NOTE)
    column = {"float32": "vector", "float16": "halfvec", "binary": "bit"}[dtype]
    operator = "<~>" if dtype == "binary" else "<#>"
    index = {
        "hnsw": f"USING hnsw (short {column}_ip_ops) WITH (m = {HNSW_LINKS}, ef_construction = {HNSW_BUILD_CANDIDATES})",
        "ivf": f"USING ivfflat (short {column}_ip_ops) WITH (lists = {{n_lists}})",
    }.get(kind)
    value = {"float32": "{}", "float16": "HalfVector({})", "binary": "Bit({} > 0)"}[dtype]
    wide = f", wide vector({plan.widest}) NOT NULL" if need.rerank else ""
    build = block(
        '''
        def build(vectors, dsn="postgresql://localhost/postgres"):
            """A connection to the table `items`, filled."""
            rows = whole(vectors)
            db = psycopg.connect(dsn, autocommit=True)
            db.execute("CREATE EXTENSION IF NOT EXISTS vector")
            register_vector(db)
            db.execute("CREATE TABLE items (id bigint PRIMARY KEY, short <column>(<dim>) NOT NULL<wide>)")
            with db.cursor().copy("COPY items FROM STDIN WITH (FORMAT BINARY)") as copy:
                copy.set_types([<types>])
                for row in zip(<columns>):
                    copy.write_row([row[0], <values>])
            <lists>
            <index>
            db.execute("ANALYZE items")
            return <result>
        ''',
        column=column,
        dim=plan.dim,
        wide=wide,
        types=", ".join(f'"{name}"' for name in ["int8", column, *(["vector"] if need.rerank else [])]),
        columns="range(len(rows)), cut(rows, DIM)" + (", cut(rows, RERANK[-1][1])" if need.rerank else ""),
        values=", ".join([value.format("row[1]"), *(["row[2]"] if need.rerank else [])]),
        lists=N_LISTS if kind == "ivf" else "",
        index=f'db.execute({"f" * (kind == "ivf")}"CREATE INDEX ON items {index}")' if index else "",
        result="db, n_lists" if kind == "ivf" else "db",
    )
    # An index returns rows by distance alone; without one, equal distances are put in the order of the ids.
    ties = ", id" if kind == "exact" else ""
    score = (
        f"1 - 2 * (short {operator} %(short)s) / {plan.dim}" if dtype == "binary" else f"-(short {operator} %(short)s)"
    )
    query = f"SELECT id, {score} AS score FROM items\nORDER BY short {operator} %(short)s{ties} LIMIT %(k)s"
    if need.rerank:
        size = need.rerank[0][0]
        query = f"SELECT id, wide FROM items\nORDER BY short {operator} %(short)s{ties} LIMIT {size}"
        keeps = [size for size, _ in need.rerank[1:]] + ["%(k)s"]
        for (_, dim), keep in zip(need.rerank, keeps):
            prefix = "wide" if dim == plan.widest else f"subvector(wide, 1, {dim})"
            last = keep == "%(k)s"
            taken = f"1 - ({prefix} <=> %(at_{dim})s) AS score" if last else "wide"
            inner = query.replace("\n", "\n    ")
            query = f"SELECT id, {taken} FROM (\n    {inner}\n) AS shortlist\nORDER BY {prefix} <=> %(at_{dim})s, id LIMIT {keep}"
    statement = block('SEARCH = """\n<query>\n"""', query=query)
    search = block(
        '''
        def search(<built>, query, k=10):
            """The k best (row, <score>) pairs, best first."""
            <unpack>
            <start>
            <look>
            values = {"k": k, "short": <short><wider>}
            return db.execute(SEARCH, values).fetchall()
        ''',
        start=need.start,
        score=BIT_SCORE if dtype == "binary" and not need.rerank else "cosine",
        built="built" if kind == "ivf" else "db",
        unpack="db, n_lists = built" if kind == "ivf" else "",
        look={
            "hnsw": f'db.execute(f"SET hnsw.ef_search = {{min(1000, max({need.first}, {HNSW_SEARCH_CANDIDATES}))}}")\n'
            'db.execute("SET hnsw.iterative_scan = strict_order")  # for lists longer than ef_search',
            "ivf": 'db.execute(f"SET ivfflat.probes = {max(1, round(n_lists / 16))}")',
        }.get(kind, ""),
        short=value.format("cut(query, DIM)[0]"),
        wider="".join(f', "at_{dim}": cut(query, {dim})[0]' for dim in dict.fromkeys(dim for _, dim in need.rerank)),
    )
    kinds = {"float16": "import HalfVector", "binary": "import Bit"}
    imports = ["import psycopg", "from pgvector.psycopg import register_vector"]
    if dtype in kinds:
        imports.append(f"from pgvector {kinds[dtype]}")
    return Part(
        "pgvector",
        'pip install "psycopg[binary]" pgvector numpy  # and PostgreSQL with the pgvector extension',
        tuple(imports),
        (build, statement, search),
        executed=True,
        notes=tuple(notes),
    )


def qdrant(need: Need) -> Part:
    """Qdrant: one named vector for the first pass and one for each rerank, joined by nested prefetches."""
    plan, notes = need.plan, []
    executed = plan.dtype == "float32" and plan.kind == "exact"
    if plan.kind == "ivf":
        notes.append("Qdrant has no inverted lists; its HNSW graph is used instead.")
    if plan.dtype == "int8":
        notes.append("Qdrant takes one int8 range for all coordinates, not one for each, and codes the query too.")
    if not executed:
        notes.append(
            "Qdrant's local mode, which the tests use, scores float32 exactly; codes and graphs were not tried."
        )
    quantization = {
        "int8": "ScalarQuantization(\n    scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)\n)",
        "binary": "BinaryQuantization(\n    binary=models.BinaryQuantizationConfig(\n"
        "        always_ram=True, query_encoding=models.BinaryQuantizationQueryEncoding.SCALAR8BITS\n    )\n)",
        "pq": "ProductQuantization(\n    product=models.ProductQuantizationConfig(\n"
        "        compression=models.CompressionRatio.X16, always_ram=True\n    )\n)",
    }.get(plan.dtype if plan.kind == "exact" else plan.kind)
    has_graph = plan.kind in ("hnsw", "ivf")
    dims = list(dict.fromkeys(dim for _, dim in need.rerank))
    build = block(
        '''
        def build(vectors, location="http://localhost:6333"):
            """A client of the collection `items`, filled; the location ":memory:" is Qdrant's local mode."""
            rows = whole(vectors)
            client = QdrantClient(location)
            client.create_collection(
                "items",
                vectors_config={
                    "short": models.VectorParams(
                        size=DIM,
                        distance=models.Distance.DOT,
                        <half>
                        hnsw_config=models.HnswConfigDiff(<graph>
                        <quantization>
                    ),
                    <wide>
                },
            )
            columns = {"short": cut(rows, DIM)<columns>}
            points = (
                models.PointStruct(id=i, vector={name: column[i].tolist() for name, column in columns.items()})
                for i in range(len(rows))
            )
            client.upload_points("items", points, wait=True)
            return client
        ''',
        half="datatype=models.Datatype.FLOAT16," if plan.dtype == "float16" else "",
        graph=f"m={HNSW_LINKS}, ef_construct={HNSW_BUILD_CANDIDATES}),"
        if has_graph
        else "m=0),  # every vector is scored",
        quantization=f"on_disk=True,  # what is searched are the codes\nquantization_config=models.{quantization},"
        if quantization
        else "",
        wide="\n".join(
            f'"at_{dim}": models.VectorParams(\n    size={dim},\n    distance=models.Distance.DOT,\n    on_disk=True,\n'
            "    hnsw_config=models.HnswConfigDiff(m=0),\n),"
            for dim in dims
        ),
        columns="".join(f', "at_{dim}": cut(rows, {dim})' for dim in dims),
    )
    # Qdrant's exact search would ignore the codes; a collection without a graph scores every code as it is.
    params = "exact=True"
    if quantization:
        params = "quantization=models.QuantizationSearchParams(rescore=False)"
    elif has_graph:
        params = f"hnsw_ef=max({need.first}, {HNSW_SEARCH_CANDIDATES})"
    passes = [("short", "DIM"), *((f"at_{dim}", str(dim)) for _, dim in need.rerank)]
    limits = [*(f"RERANK[{i}][0]" for i in range(len(need.rerank))), "k"]
    steps = []
    for position, ((name, dim), limit) in enumerate(zip(passes, limits)):
        last = limit == "k"
        arguments = [
            *(['"items"'] if last else []),
            *(["prefetch=found"] if position else []),
            f"query=cut(query, {dim})[0].tolist()",
            f'using="{name}"',
            *([f"{'search_params' if last else 'params'}=models.SearchParams({params})"] if position == 0 else []),
            f"limit={limit}",
        ]
        call = "client.query_points" if last else "models.Prefetch"
        steps.append(f"found = {call}(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")")
    search = block(
        '''
        def search(client, query, k=10):
            """The k best (row, cosine) pairs, best first<how>."""
            <start>
            <steps>
            return [(point.id, point.score) for point in found.points]
        ''',
        start=need.start,
        how=": each pass searches what the one inside it found" if need.rerank else "",
        steps="\n".join(steps),
    )
    return Part(
        "Qdrant",
        "pip install qdrant-client numpy",
        ("from qdrant_client import QdrantClient, models",),
        (build, search),
        executed=executed,
        notes=tuple(notes),
    )


def milvus(need: Need) -> Part:
    """Milvus, and Milvus Lite where it can; the shortlist's wide vectors are fetched and reranked here."""
    plan, notes = need.plan, []
    binary = plan.dtype == "binary"
    executed = plan.dtype in ("float32", "int8") and plan.kind in ("exact", "hnsw")
    if plan.dtype == "int8":
        notes.append(
            "Milvus' int8 vectors come with a graph only; an index of 8-bit codes (IVF_SQ8), every list searched, is used "
            "instead, beside the float32 field."
        )
    if binary:
        notes.append(HAMMING_NOTE)
    if plan.kind == "hnsw":
        notes.append(
            "Milvus Lite, which the tests use, builds its graph with its own defaults, not with these numbers."
        )
    if not executed:
        what = {"pq": "product codes", "ivf": "choice of the number of lists"}.get(plan.kind, f"{plan.dtype} vectors")
        notes.append(f"Milvus Lite, which the tests use, has no {what}: this needs a Milvus server and was not tried.")
    index, made, asked = {
        "float32": ("FLAT", "{}", "{}"),
        "float16": ("FLAT", "{}", "{}"),
        "int8": ("IVF_SQ8", f'{{"nlist": {MILVUS_LISTS}}}', f'{{"nprobe": {MILVUS_LISTS}}}'),
        "binary": ("BIN_FLAT", "{}", "{}"),
        "hnsw": (
            "HNSW",
            f'{{"M": {HNSW_LINKS}, "efConstruction": {HNSW_BUILD_CANDIDATES}}}',
            f'{{"ef": max({need.first}, {HNSW_SEARCH_CANDIDATES})}}',
        ),
        "ivf": ("IVF_FLAT", '{"nlist": n_lists}', '{"nprobe": max(1, round(n_lists / 16))}'),
        "pq": ("IVF_PQ", f'{{"nlist": {MILVUS_LISTS}, "m": {pq_parts(plan.dim)}}}', f'{{"nprobe": {MILVUS_LISTS}}}'),
    }[plan.dtype if plan.kind == "exact" else plan.kind]
    ivf = plan.kind == "ivf"
    kind = {"float16": "FLOAT16_VECTOR", "binary": "BINARY_VECTOR"}.get(plan.dtype, "FLOAT_VECTOR")
    metric = "HAMMING" if binary else "IP"
    code = {"float16": "cut({}, DIM).astype(np.float16)", "binary": "bits(cut({}, DIM))"}.get(
        plan.dtype, "cut({}, DIM)"
    )
    value = "{}.tobytes()" if binary else "{}"
    build = block(
        '''
        def build(vectors, uri="http://localhost:19530"):
            """A client of the collection `items`, filled<beside>; a file name ending in .db is Milvus Lite."""
            rows = whole(vectors)
            client = MilvusClient(uri)
            schema = MilvusClient.create_schema()
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("short", DataType.<kind>, dim=<dim>)
            <wide>
            <lists>
            index = MilvusClient.prepare_index_params()
            index.add_index("short", index_type="<index>", metric_type="<metric>", params=<made>)
            <wide_index>
            client.create_collection("items", schema=schema, index_params=index)
            fields = {"short": <code><wide_field>}
            for start in range(0, len(rows), 1000):
                some = range(start, min(start + 1000, len(rows)))
                client.insert("items", [{"id": i} | {name: field[i] for name, field in fields.items()} for i in some])
            client.flush("items")
            client.load_collection("items")
            return client<result>
        ''',
        beside=", and its number of lists" if ivf else "",
        kind=kind,
        dim="8 * ((DIM + 7) // 8)" if binary else "DIM",
        wide='schema.add_field("wide", DataType.FLOAT_VECTOR, dim=RERANK[-1][1])' if need.rerank else "",
        lists=N_LISTS if ivf else "",
        index=index,
        metric=metric,
        made=made,
        wide_index='index.add_index("wide", index_type="FLAT", metric_type="IP")' if need.rerank else "",
        code="[code.tobytes() for code in bits(cut(rows, DIM))]" if binary else code.format("rows"),
        wide_field=', "wide": cut(rows, RERANK[-1][1])' if need.rerank else "",
        result=", n_lists" if ivf else "",
    )
    score = '1 - 2 * hit["distance"] / DIM' if binary else 'hit["distance"]'
    finish = (
        'return rerank([hit["id"] for hit in found], [hit["entity"]["wide"] for hit in found], query, k)'
        if need.rerank
        else f'return [(hit["id"], {score}) for hit in found]'
    )
    search = block(
        '''
        def search(<built>, query, k=10):
            """The k best (row, <score>) pairs, best first."""
            <unpack>
            <start>
            found = client.search(
                "items",
                data=[<value>],
                anns_field="short",
                limit=<first>,
                search_params={"metric_type": "<metric>", "params": <asked>},
                <fields>
            )[0]
            <finish>
        ''',
        start=need.start,
        score=BIT_SCORE if binary and not need.rerank else "cosine",
        built="built" if ivf else "client",
        unpack="client, n_lists = built" if ivf else "",
        value=value.format(code.format("query") + "[0]"),
        first=need.first,
        metric=metric,
        asked=asked,
        fields='output_fields=["wide"],' if need.rerank else "",
        finish=finish,
    )
    uses = ({"rerank"} if need.rerank else set()) | ({"bits"} if binary else set())
    return Part(
        "Milvus",
        'pip install "pymilvus[milvus_lite]" numpy',
        ("from pymilvus import DataType, MilvusClient",),
        (build, search),
        executed=executed,
        notes=tuple(notes),
        uses=frozenset(uses),
    )
