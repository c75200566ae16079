"""Snippets for the stores that live in the program's own process; the tests run them."""

from __future__ import annotations

from mrl_viz.export.snippets.parts import BIT_SCORE, HAMMING_NOTE, N_LISTS, Need, Part, block
from mrl_viz.retrieval.ann import HNSW_BUILD_CANDIDATES, HNSW_LINKS, HNSW_SEARCH_CANDIDATES, pq_parts


def faiss(need: Need) -> Part:
    """faiss, in memory."""
    plan, parts = need.plan, pq_parts(need.plan.dim)
    made = {
        "float32": "faiss.IndexFlatIP(DIM)",
        "float16": "faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)",
        "int8": "faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)",
        "binary": "faiss.IndexBinaryFlat(8 * short.shape[1])",
        "hnsw": f"faiss.IndexHNSWFlat(DIM, {HNSW_LINKS}, faiss.METRIC_INNER_PRODUCT)",
        "ivf": "faiss.IndexIVFFlat(faiss.IndexFlatIP(DIM), DIM, n_lists, faiss.METRIC_INNER_PRODUCT)",
        "pq": f"faiss.IndexPQ(DIM, {parts}, 8, faiss.METRIC_INNER_PRODUCT)  # {parts} bytes a vector",
    }[plan.dtype if plan.kind == "exact" else plan.kind]
    before = N_LISTS if plan.kind == "ivf" else ""
    after = {
        "hnsw": f"index.hnsw.efConstruction = {HNSW_BUILD_CANDIDATES}",
        "ivf": "index.nprobe = max(1, round(n_lists / 16))",
    }.get(plan.kind, "")
    binary = plan.dtype == "binary"
    build = block(
        '''
        def build(vectors):
            """The index<beside>."""
            rows = whole(vectors)
            short = <short>
            <before>
            index = <made>
            <after>
            index.train(short)
            index.add(short)
            return <result>
        ''',
        beside=", and the float32 rows for the rerank" if need.rerank else "",
        short="bits(cut(rows, DIM))" if binary else "cut(rows, DIM)",
        before=before,
        made=made,
        after=after,
        result="index, cut(rows, RERANK[-1][1])" if need.rerank else "index",
    )
    scores = "1 - 2 * scores[0] / DIM" if binary else "scores[0]"
    finish = (
        "found = ids[0][ids[0] >= 0]\nreturn rerank(found, wide[found], query, k)"
        if need.rerank
        else f"return [(int(i), float(score)) for i, score in zip(ids[0], {scores}) if i >= 0]"
    )
    search = block(
        '''
        def search(<built>, query, k=10):
            """The k best (row, <score>) pairs, best first."""
            <unpack>
            <start>
            <look>
            scores, ids = index.search(<short>, min(<first>, index.ntotal))
            <finish>
        ''',
        start=need.start,
        score="cosine" if need.rerank or not binary else BIT_SCORE,
        built="built" if need.rerank else "index",
        unpack="index, wide = built" if need.rerank else "",
        look=f"index.hnsw.efSearch = max({need.first}, {HNSW_SEARCH_CANDIDATES})" if plan.kind == "hnsw" else "",
        short="bits(cut(query, DIM))" if binary else "cut(query, DIM)",
        first=need.first,
        finish=finish,
    )
    uses = {"rerank"} if need.rerank else set()
    return Part(
        "faiss",
        "pip install faiss-cpu numpy",
        ("import faiss",),
        (build, search),
        executed=True,
        notes=(HAMMING_NOTE,) if binary else (),
        uses=frozenset(uses | ({"bits"} if binary else set())),
    )


def lancedb(need: Need) -> Part:
    """LanceDB: a table of columns; the shortlist's wide vectors are fetched and reranked here."""
    plan, notes = need.plan, []
    dtype = "float16" if plan.dtype == "float16" else "float32"
    index = {
        "int8": 'IvfSq(distance_type="dot", num_partitions=1)',
        "hnsw": f'HnswFlat(distance_type="dot", num_partitions=1, m={HNSW_LINKS}, ef_construction={HNSW_BUILD_CANDIDATES})',
        "ivf": 'IvfFlat(distance_type="dot", num_partitions=n_lists)',
        "pq": f'IvfPq(distance_type="dot", num_partitions=1, num_sub_vectors={pq_parts(plan.dim)})',
    }.get(plan.dtype if plan.kind == "exact" else plan.kind)
    if plan.dtype == "int8":
        notes.append(
            "LanceDB takes one int8 range for all coordinates, not one for each, and keeps the float32 column too."
        )
    if plan.dtype == "binary":
        notes.append(HAMMING_NOTE)
    binary = plan.dtype == "binary"
    column = block(
        '''
        def column(rows, kind):
            """Vectors of one width as an Arrow column."""
            return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel(), type=kind), rows.shape[1])
        '''
    )
    build = block(
        '''
        def build(vectors, folder="lancedb"):
            """The table `items`, filled."""
            rows = whole(vectors)
            data = {
                "id": np.arange(len(rows)),
                "short": <short>,
                <wide>
            }
            table = lancedb.connect(folder).create_table("items", pa.table(data))
            <lists>
            <index>
            return table
        ''',
        short="column(bits(cut(rows, DIM)), pa.uint8())"
        if binary
        else f"column(cut(rows, DIM){'.astype(np.float16)' if dtype == 'float16' else ''}, pa.{dtype}())",
        wide='"wide": column(cut(rows, RERANK[-1][1]), pa.float32()),' if need.rerank else "",
        lists=N_LISTS if plan.kind == "ivf" else "",
        index=f'table.create_index("short", config={index})' if index else "",
    )
    options = {
        "hnsw": f".nprobes(1).ef(max({need.first}, {HNSW_SEARCH_CANDIDATES}))",
        "ivf": ".nprobes(max(1, round(4 * table.count_rows() ** 0.5 / 16)))",
        "pq": ".nprobes(1)",
    }.get(plan.kind, ".nprobes(1)" if plan.dtype == "int8" else "")
    short = "bits(cut(query, DIM))[0]" if binary else "cut(query, DIM)[0]"
    score = "1 - 2 * d / DIM" if binary else "1 - d"
    finish = (
        'wide = found["wide"].combine_chunks().flatten().to_numpy().reshape(len(found), -1)\n'
        'return rerank(found["id"].to_numpy(), wide, query, k)'
        if need.rerank
        else f'return [(i, {score}) for i, d in zip(found["id"].to_pylist(), found["_distance"].to_pylist())]'
    )
    search = block(
        '''
        def search(table, query, k=10):
            """The k best (row, <score>) pairs, best first."""
            <start>
            found = (
                table.search(<short>, vector_column_name="short")
                .distance_type("<metric>")<options>
                .limit(<first>)
                .select([<columns>])
                .to_arrow()
            )
            <finish>
        ''',
        start=need.start,
        score=BIT_SCORE if binary and not need.rerank else "cosine",
        short=short,
        metric="hamming" if binary else "dot",
        options=f"\n{options}" if options else "",
        first=need.first,
        columns='"id", "wide"' if need.rerank else '"id", "_distance"',
        finish=finish,
    )
    imports = ["import lancedb", "import pyarrow as pa"]
    if index:
        imports.append(f"from lancedb.index import {index.split('(')[0]}")
    uses = ({"rerank"} if need.rerank else set()) | ({"bits"} if binary else set())
    return Part(
        "LanceDB",
        "pip install lancedb numpy",
        tuple(imports),
        (column, build, search),
        executed=True,
        notes=tuple(notes),
        uses=frozenset(uses),
    )


def sqlite_vec(need: Need) -> Part:
    """SQLite with sqlite-vec, through apsw, whose SQLite loads extensions."""
    plan, notes, dtype = need.plan, [], need.plan.dtype
    if plan.kind != "exact":
        notes.append(f"sqlite-vec scores every vector; the plan's {plan.kind} index is left out: exact, and slower.")
    if dtype == "float16":
        dtype = "float32"
        notes.append("sqlite-vec has no float16; float32 is used instead, at twice the bytes.")
    if dtype == "int8":
        notes.append("sqlite-vec compares int8 with int8: the query is coded too, with one scale for all coordinates.")
    if dtype == "binary":
        notes.append(HAMMING_NOTE)
    column, maker, short = {
        "float32": ("float[{DIM}] distance_metric=cosine", "vec_f32", "cut(<rows>, DIM)"),
        "int8": ("int8[{DIM}] distance_metric=cosine", "vec_int8", "int8(cut(<rows>, DIM), scale)"),
        "binary": ("bit[{8 * ((DIM + 7) // 8)}]", "vec_bit", "bits(cut(<rows>, DIM))"),
    }[dtype]
    coded = dtype == "int8"
    build = block(
        '''
        def build(vectors, file="items.db"):
            """A connection to the table `items`, filled<beside>."""
            rows = whole(vectors)
            db = apsw.Connection(file)
            db.enable_load_extension(True)
            db.load_extension(sqlite_vec.loadable_path())
            db.enable_load_extension(False)
            columns = f"id INTEGER PRIMARY KEY, short <column>"
            db.execute(f"CREATE VIRTUAL TABLE items USING vec0({columns})")
            <wide>
            <scale>
            with db:  # one transaction
                codes = <short>
                db.executemany(
                    "INSERT INTO items VALUES (?, <maker>(?))",
                    ((i, row.tobytes()) for i, row in enumerate(codes)),
                )
                <fill>
            return <result>
        ''',
        beside=", and the scale of its codes" if coded else "",
        column=column,
        wide='db.execute("CREATE TABLE wide (id INTEGER PRIMARY KEY, vector BLOB NOT NULL)")' if need.rerank else "",
        scale="scale = 127 / max(float(np.abs(cut(rows, DIM)).max()), 1e-12)" if coded else "",
        maker=maker,
        short=short.replace("<rows>", "rows"),
        fill='wide = cut(rows, RERANK[-1][1])\ndb.executemany("INSERT INTO wide VALUES (?, ?)", ((i, row.tobytes()) for i, row in enumerate(wide)))'
        if need.rerank
        else "",
        result="db, scale" if coded else "db",
    )
    score = "1 - 2 * d / DIM" if dtype == "binary" else "1 - d"
    finish = f"return [(i, {score}) for i, d in db.execute(SEARCH, (short, k))]"
    query = f"SELECT id, distance FROM items WHERE short MATCH {maker}(?) AND k = ? ORDER BY distance"
    if need.rerank:
        shortlist = f"SELECT id FROM items WHERE short MATCH {maker}(?) AND k = ?"
        query = f"SELECT id, vector FROM wide\nWHERE id IN ({shortlist})\nORDER BY id"
        finish = (
            "rows = db.execute(SEARCH, (short, RERANK[0][0])).fetchall()\n"
            "wide = [np.frombuffer(vector, np.float32) for _, vector in rows]\n"
            "return rerank([i for i, _ in rows], wide, query, k)"
        )
    statement = block('SEARCH = """\n<query>\n"""', query=query)
    search = block(
        '''
        def search(<built>, query, k=10):
            """The k best (row, <score>) pairs, best first."""
            <unpack>
            <start>
            short = <short>[0].tobytes()
            <finish>
        ''',
        start=need.start,
        score=BIT_SCORE if dtype == "binary" and not need.rerank else "cosine",
        built="built" if coded else "db",
        unpack="db, scale = built" if coded else "",
        short=short.replace("<rows>", "query"),
        finish=finish,
    )
    uses = ({"rerank"} if need.rerank else set()) | {"int8": {"int8"}, "binary": {"bits"}}.get(dtype, set())
    return Part(
        "sqlite-vec",
        "pip install apsw sqlite-vec numpy",
        ("import apsw", "import sqlite_vec"),
        (build, statement, search),
        executed=True,
        notes=tuple(notes),
        uses=frozenset(uses),
    )
