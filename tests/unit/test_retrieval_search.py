"""Search against faiss and numpy, quantisation, approximate indexes, and every bad input in one sentence."""

import subprocess
import sys

import faiss
import numpy as np
import pytest

from mrl_viz.errors import EmptyInputError, InvalidInputError, MrlVizError, OptionalDependencyError, ShapeError
from mrl_viz.retrieval.ann import AnnIndex
from mrl_viz.retrieval.coded import FAISS_DTYPES, FaissCodes, coded_index, has_vectors, stored
from mrl_viz.retrieval.codes import BITS, bytes_per_vector, rotation
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.misses import explain_miss
from mrl_viz.retrieval.plan import Plan, build_plan
from mrl_viz.retrieval.quantization import QuantizedIndex, fit_quantizer
from mrl_viz.retrieval.results import recall_vs_full
from mrl_viz.retrieval.shortlist import funnel_search, rerank, shortlist_curve, shortlist_search
from mrl_viz.truncation import truncate_and_normalize


def vectors(n_items=4000, full_dim=48, n_queries=20, seed=0):
    """Variance that falls along the index, and queries near corpus points."""
    rng = np.random.default_rng(seed)
    scale = ((1 + np.arange(full_dim)) ** -0.4).astype(np.float32)
    corpus = rng.standard_normal((n_items, full_dim), dtype=np.float32) * scale
    queries = corpus[:n_queries] + 0.4 * rng.standard_normal((n_queries, full_dim), dtype=np.float32) * scale
    return corpus, queries


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """faiss's threads wait for each other on a busy machine longer than such small data takes one of them."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(threads)


@pytest.fixture(scope="module")
def data():
    corpus, queries = vectors()
    return corpus, queries, PrefixIndex(corpus, [8, 16])


def test_exact_search_agrees_with_faiss_flat(data):
    """Lists and similarities are those of an exact inner-product search over renormalised prefixes."""
    corpus, queries, index = data
    for dim in index.dims:
        flat = faiss.IndexFlatIP(dim)
        flat.add(truncate_and_normalize(corpus, dim))
        similarities, indices = flat.search(truncate_and_normalize(queries, dim), 10)
        result = index.search(queries, 10, dim=dim)
        np.testing.assert_allclose(result.similarities, similarities, atol=1e-6)
        assert (result.indices == indices).mean() > 0.99
        assert result.dim == dim and result.multiply_adds == 4000 * dim and result.bytes_read == 4000 * dim * 4
        assert "4,000 items" in result.takeaway() and result.to_dict()["stages"][0]["n_kept"] == 10


def test_query_tiles_change_nothing(data, monkeypatch):
    """Any number of queries at once gives the same answers."""
    corpus, queries, index = data
    expected = index.search(queries, 10)
    monkeypatch.setattr("mrl_viz.retrieval.index.SCORES_AT_ONCE", 3 * len(corpus))
    monkeypatch.setattr("mrl_viz.retrieval.index.COORDINATES_AT_ONCE", 40)
    result = index.search(queries, 10)
    np.testing.assert_array_equal(result.indices, expected.indices)
    np.testing.assert_array_equal(result.similarities, expected.similarities)


def test_prefixes_take_no_more_memory_than_the_vectors():
    """All widths share one copy; a narrow search needs only its own blocks."""
    index = PrefixIndex(np.eye(256, 64, dtype=np.float32), [8, 16, 32])
    assert index.dims == (8, 16, 32, 64)
    assert index.nbytes == 256 * (64 + 4) * 4
    assert index.nbytes_up_to(8) == 256 * (8 + 1) * 4


def test_extreme_rows_are_searched_by_direction():
    """Rows of norm 1e-30 and 1e30 are found like any others."""
    corpus, queries = vectors(500)
    scaled = corpus.astype(np.float64) * 10.0 ** np.random.default_rng(1).integers(-30, 30, size=(500, 1))
    expected, found = PrefixIndex(corpus, [8]).search(queries, 5), PrefixIndex(scaled, [8]).search(queries, 5)
    assert (expected.indices == found.indices).mean() > 0.99


def test_rank_explains_a_miss(data):
    """A wanted item outside the shortlist is explained by its rank, and a shortlist of that rank finds it."""
    corpus, queries, index = data
    curve = shortlist_curve(index, queries, shortlist_dim=8, k=10)
    query, position = np.unravel_index(curve.ranks.argmax(), curve.ranks.shape)
    item, rank = int(index.search(queries, 10).indices[query, position]), int(curve.ranks.max())
    order = np.argsort(-(truncate_and_normalize(corpus, 8) @ truncate_and_normalize(queries, 8)[query]))
    assert abs(list(order).index(item) + 1 - rank) <= 1
    miss = explain_miss(index, queries[query], item, ((8, 20), (48, 10)))
    assert miss.dropped_at == 0 and miss.ranks[0] == rank and miss.smallest_shortlist == rank
    assert f"keeping {rank:,} at 8 dims finds it" in miss.takeaway()
    found = shortlist_search(index, queries[query], shortlist_dim=8, shortlist_size=rank)
    assert item in found.indices
    if rank > 10:
        lost = shortlist_search(index, queries[query], shortlist_dim=8, shortlist_size=rank - 1)
        assert item not in lost.indices
    assert curve.smallest_size(1.0) == rank
    assert "99%" in curve.takeaway() and len(curve.rows()) == len(curve.sizes)


def test_recall_vs_full_is_a_set_overlap():
    """Order does not matter, -1 is never a hit, and the interval holds the mean."""
    recall = recall_vs_full([[3, 1, -1], [7, 8, 9]], [[1, 2, 3], [9, 8, 7]])
    np.testing.assert_allclose(recall.per_query, [2 / 3, 1])
    assert recall.share.value == pytest.approx(5 / 6)
    assert recall.share.low <= recall.share.value <= recall.share.high
    assert "83.3%" in recall.takeaway()
    with pytest.raises(ShapeError, match="`found` has shape"):
        recall_vs_full([[1]], [[1, 2]])


@pytest.mark.parametrize(
    ("dtype", "least"),
    [("float32", 1), ("float16", 0.99), ("int8", 0.93), ("int4", 0.6), ("int4-rotated", 0.6), ("binary", 0.2)],
)
def test_dtypes_and_rescoring(data, dtype, least):
    """Fewer bits find less, coded queries less still; rescoring from float32 gives back what the shortlist holds."""
    corpus, queries, index = data
    full = index.search(queries, 10).indices
    coded = QuantizedIndex(corpus, 48, dtype)
    alone = recall_vs_full(coded.search(queries, 10).indices, full).share.value
    shortlist = coded.search(queries, 200)
    rescored = rerank(index, queries, shortlist)
    assert alone >= least
    assert recall_vs_full(rescored.indices, full).share.value == np.mean(
        [np.isin(a, b).mean() for a, b in zip(full, shortlist.indices)]
    )
    assert recall_vs_full(coded.search(queries, 10, query="code").indices, full).share.value <= alone + 0.02
    assert [stage.n_scored for stage in rescored.stages] == [4000, 200]
    if dtype == "binary":
        assert recall_vs_full(coded.search(queries, 10, query="code").indices, full).share.value < alone


@pytest.mark.parametrize("dtype", ["int4", "int4-rotated"])
def test_faiss_scans_the_codes_that_are_ours(data, dtype):
    """The engine's int4 is the oracle's: the same codes, so the same scores and lists up to float32 sums."""
    corpus, queries, _ = data
    ours, engine = (kind(corpus, 30, dtype).search(queries, 10) for kind in (QuantizedIndex, FaissCodes))
    np.testing.assert_allclose(engine.similarities, ours.similarities, atol=1e-6)
    assert (engine.indices == ours.indices).mean() > 0.99
    differs = np.abs(FaissCodes(corpus, 30, dtype).decoded() - stored(corpus, 30, dtype)) > 1e-6
    assert differs.any(axis=1).mean() < 1e-3  # a coordinate halfway between two steps may round either way


@pytest.mark.parametrize("dtype", sorted(BITS))
def test_repeated_codes_are_found_once_a_copy(data, dtype):
    """Of codes held three times over every text is found three times at its score, in three times the bytes."""
    corpus, queries, _ = data
    once, thrice = (coded_index(corpus[:700], 16, dtype) for _ in range(2))
    thrice.repeat(3)
    assert thrice.n_items == 2100 and thrice.nbytes == 3 * once.nbytes
    found, alone = thrice.search(queries, 30), once.search(queries, 10)
    np.testing.assert_allclose(found.similarities, np.repeat(alone.similarities, 3, axis=1), atol=1e-6)
    copies = np.bincount(found.indices[0] % 700)
    assert (copies[alone.indices[0]] == 3).mean() >= 0.9  # the last of the list may tie with others


@pytest.mark.parametrize("dtype", FAISS_DTYPES)
def test_engine_codes_score_what_they_stand_for_in_the_bytes_they_say(data, dtype):
    """faiss keeps as many bytes as are counted; scores are products with the decoded vectors, where there are such."""
    corpus, queries, index = data
    coded = FaissCodes(corpus, 48, dtype)
    assert coded.nbytes == len(corpus) * bytes_per_vector(48, dtype)
    inner = faiss.downcast_index(getattr(coded._index, "index", coded._index))
    assert inner.code_size == coded.bytes_per_vector
    found = coded.search(queries, 10)
    share = recall_vs_full(found.indices, index.search(queries, 10).indices).share.value
    assert share >= {1: 0.2, 2: 0.3, 3: 0.5, 4: 0.6}.get(BITS[dtype], 0.8)
    if has_vectors(dtype):
        unit = truncate_and_normalize(queries, 48)
        products = np.take_along_axis(unit @ coded.decoded().T, found.indices.astype(np.int64), axis=1)
        np.testing.assert_allclose(products, found.similarities, atol=1e-5)


def test_bytes_never_shrink_with_bits_or_dims():
    """More bits of a family and more coordinates never take fewer bytes; the factors of RaBitQ are counted."""
    for family in ("rabitq", "turboquant"):
        names = [name for name in BITS if name.startswith(family)]
        sizes = np.array([[bytes_per_vector(dim, name) for dim in range(1, 300)] for name in names])
        assert (np.diff(sizes, axis=0) >= 0).all() and (np.diff(sizes, axis=1) >= 0).all()
    assert (bytes_per_vector(64, "rabitq1"), bytes_per_vector(64, "rabitq4")) == (16, 52)
    assert [bytes_per_vector(64, name) for name in ("int4", "turboquant4", "opq4", "opq1")] == [32, 32, 32, 8]


def test_rotation_keeps_cosines_and_is_the_same_every_time():
    """An orthogonal matrix of its width alone."""
    turn = rotation(33)
    np.testing.assert_allclose(turn @ turn.T, np.eye(33), atol=1e-6)
    rotation.cache_clear()
    np.testing.assert_array_equal(rotation(33), turn)


def test_unequal_variances_spoil_signs_and_int4_until_they_are_rotated():
    """After an SVD the first coordinates carry most: plain codes waste bits on the last ones, rotated ones do not."""
    rng = np.random.default_rng(0)
    corpus, queries = (rng.normal(size=(n, 64)) * np.geomspace(1, 0.05, 64) for n in (3000, 100))
    full = PrefixIndex(corpus).search(queries, 10).indices
    kept = {
        dtype: recall_vs_full(QuantizedIndex(corpus, 64, dtype).search(queries, 10).indices, full).share.value
        for dtype in ("binary", "binary-rotated", "int4", "int4-rotated")
    }
    assert kept["binary-rotated"] > kept["binary"] + 0.05
    assert kept["int4-rotated"] > kept["int4"] + 0.01


def test_float16_codes_widen_exactly():
    """Every finite float16, subnormal or not, becomes the same float32."""
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    values = values[np.isfinite(values)][None]
    quantizer = fit_quantizer(np.ones((2, values.shape[1]), dtype=np.float32), values.shape[1], "float16")
    np.testing.assert_array_equal(quantizer.decode(values), values.astype(np.float32))


@pytest.mark.parametrize(("dtype", "steps"), [("int8", 255), ("int4", 15), ("int4-rotated", 15)])
def test_ranges_come_from_the_calibration_split(dtype, steps):
    """The extremes of the renormalised calibration rows are the ends of the scale, and values beyond are clipped."""
    corpus, _ = vectors(300)
    quantizer = fit_quantizer(corpus[:200], 8, dtype)
    turn = rotation(8) if dtype == "int4-rotated" else np.eye(8, dtype=np.float32)
    rows = truncate_and_normalize(corpus, 8) @ turn
    np.testing.assert_allclose(quantizer.low, rows[:200].min(axis=0))
    np.testing.assert_allclose(quantizer.low + steps * quantizer.step, rows[:200].max(axis=0), atol=1e-6)
    decoded = quantizer.decode(quantizer.encode(corpus)) @ turn
    clipped = np.clip(rows, rows[:200].min(axis=0), rows[:200].max(axis=0))
    assert (np.abs(decoded - clipped) <= quantizer.step / 2 + 1e-6).all()
    assert quantizer.bytes_per_vector == (8 if dtype == "int8" else 4) and quantizer.to_dict()["dtype"] == dtype


def test_hamming_is_faiss_binary_search():
    """Bits against bits rank as faiss's binary index does."""
    corpus, queries = vectors(1000, 64)
    coded = QuantizedIndex(corpus, 64, "binary")
    flat = faiss.IndexBinaryFlat(64)
    flat.add(coded.quantizer.encode(corpus))
    distances, _ = flat.search(coded.quantizer.encode(queries), 10)
    np.testing.assert_allclose(coded.search(queries, 10, query="code").similarities, 1 - 2 * distances / 64, atol=1e-6)


@pytest.mark.parametrize("rerank_dim", [None, 48])
def test_product_codes_take_other_rows_by_what_was_learnt(data, rerank_dim):
    """A few rows that could teach nothing are found with the similarities that they have among those learnt from."""
    corpus, queries, _ = data
    corpus = corpus[:500]
    whole = AnnIndex(corpus, "pq", 16, rerank_dim=rerank_dim).search(queries, 500)
    index = AnnIndex(corpus[:20], "pq", 16, rerank_dim=rerank_dim, calibration=corpus)
    for start in (0, 490):
        if start:
            index.refill(corpus[start : start + 20])
        found = index.search(queries, index.n_items)
        for query in range(len(queries)):
            among = dict(zip(whole.indices[query].tolist(), whole.similarities[query].tolist()))
            expected = [among[start + item] for item in found.indices[query].tolist()]
            np.testing.assert_allclose(found.similarities[query], expected, atol=1e-5)


@pytest.mark.parametrize(("kind", "least"), [("hnsw", 0.95), ("ivf", 0.5), ("pq", 0.5)])
def test_ann_finds_most_and_reranks(data, kind, least):
    """Approximate kinds over a prefix with a rerank find most full-width neighbors and report true cosines."""
    corpus, queries, _ = data
    corpus = corpus[:1500]
    index = PrefixIndex(corpus, [16])
    full = index.search(queries, 10)
    found = AnnIndex(corpus, kind, 16, rerank_dim=48).search(queries, 10, shortlist_size=300)
    assert recall_vs_full(found.indices, full.indices).share.value >= least
    for row, items, similarities in zip(queries, found.indices, found.similarities):
        np.testing.assert_allclose(index.cosines(row, items.astype(np.int64), 48), similarities, atol=1e-5)
    alone = AnnIndex(corpus, kind, 16).search(queries, 10)
    assert recall_vs_full(alone.indices, index.search(queries, 10, dim=16).indices).share.value >= 0.3
    assert alone.multiply_adds is None


@pytest.mark.parametrize(
    "plan",
    [
        Plan(16),
        Plan(8, rerank=((100, 16), (30, 48))),
        Plan(16, "int8", rerank=((100, 48),)),
        Plan(16, "binary"),
        Plan(16, kind="hnsw", rerank=((100, 48),)),
        Plan(16, kind="pq"),
    ],
)
def test_built_plan_searches_as_its_parts(data, plan):
    """A plan's answers are those of the functions it names."""
    corpus, queries, index = data
    if plan.kind == "pq":
        corpus = corpus[:500]  # k-means is slow
    built = build_plan(plan, corpus)
    found = built.search(queries, 10)
    assert found.indices.shape == (20, 10) and built.nbytes > 0
    if plan.kind == "exact" and plan.dtype == "float32":
        np.testing.assert_array_equal(found.indices, funnel_search(index, queries, plan.stages(10)).indices)
        shared = build_plan(plan, corpus, prefix_index=index)
        np.testing.assert_array_equal(found.indices, shared.search(queries, 10).indices)
    own = np.arange(100, 120)
    others = built.search(corpus[own], 10, own=own)
    assert others.indices.shape == others.similarities.shape == (20, 10)
    assert not (others.indices == own[:, None]).any()
    with_itself = built.search(corpus[own], 9).indices
    if plan.kind == "exact" and not plan.rerank:
        np.testing.assert_array_equal([[i for i in row if i != o][:8] for row, o in zip(with_itself, own)],
                                      others.indices[:, :8])  # fmt: skip


BAD = [
    (
        lambda i, q: shortlist_search(i, q, shortlist_dim=8, shortlist_size=5),
        "`shortlist_size` is 5, too few for `k` = 10",
    ),
    (lambda i, q: shortlist_search(i, q, shortlist_dim=8, shortlist_size=4001), "`shortlist_size` is 4001"),
    (lambda i, q: shortlist_search(i, q, shortlist_dim=8, shortlist_size=20.5), "`shortlist_size` is 20.5"),
    (lambda i, q: shortlist_search(i, q, shortlist_dim=16, shortlist_size=50, rerank_dim=8), "back to 8"),
    (
        lambda i, q: shortlist_search(i, q, shortlist_dim=9, shortlist_size=50),
        "`dim` is 9, which this index does not hold",
    ),
    (lambda i, q: funnel_search(i, q, ((8, 50), (16, 60))), "`keep` is 60"),
    (lambda i, q: i.search(q, 4001), "`k` is 4001"),
    (lambda i, q: i.search(q, 0), "`k` is 0"),
    (lambda i, q: i.search(q[:2], 4000, own=[0, 1]), "`k` is 4000"),
    (lambda i, q: i.search(q[:2], 5, own=[0]), "`own` has shape"),
    (lambda i, q: shortlist_search(i, q[:2], shortlist_dim=8, shortlist_size=4000, own=[0, 1]), "choose .* 10 to 3999"),
    (lambda i, q: i.search(q[:, :16], 10), "`queries` have 16 coordinates and this index 48"),
    (lambda i, q: i.search(q[:0], 10), "`queries` has no rows"),
    (lambda i, q: i.widen(q, 10), "widen one query at a time"),
    (lambda i, q: i.rank(q[0], [4000], 8), "`items` must be whole numbers from 0 to 3999"),
    (lambda i, q: explain_miss(i, q[0], -1, ((8, 10),)), "`items` must be whole numbers"),
    (lambda i, q: rerank(i, q[:3], i.search(q, 20)), "pass the same queries"),
    (lambda i, q: rerank(i, q, i.search(q, 20), k=30), "`k` is 30"),
    (lambda i, q: shortlist_curve(i, q, shortlist_dim=8, sizes=[5]), "`shortlist_size` is 5"),
    (lambda i, q: shortlist_curve(i, q[:2], shortlist_dim=8).smallest_size(0), "`target` is 0"),
    (lambda i, q: PrefixIndex(np.empty((0, 8))), "`corpus` has no rows"),
    (lambda i, q: PrefixIndex(q, [100]), "`dim` is 100 but these embeddings have 48"),
    (lambda i, q: QuantizedIndex(q, 8, "int5"), "`dtype` is 'int5'"),
    (lambda i, q: FaissCodes(q, 8, "rabitq9"), "`dtype` is 'rabitq9'; choose one of .'rabitq1'"),
    (lambda i, q: FaissCodes(q, 8, "int8"), "`dtype` is 'int8'; choose one of .'int4'"),
    (
        lambda i, q: FaissCodes(q, 8, "opq2"),
        "`opq2` learns 16 centroids a part from at least 624 rows and there are 20",
    ),
    (lambda i, q: FaissCodes(q, 8, "rabitq4").decoded(), "`dtype` 'rabitq4' scores queries and has no vectors"),
    (lambda i, q: QuantizedIndex(q, 8, "int8").search(q, 10, query="bits"), "`query` is 'bits'"),
    (lambda i, q: QuantizedIndex(q, 8, "int8").search(q, 21), "`k` is 21"),
    (lambda i, q: fit_quantizer(q, 8, "int8").decode(np.zeros((2, 8))), "`codes` are float64"),
    (lambda i, q: AnnIndex(q, "lsh", 8), "`kind` is 'lsh'"),
    (lambda i, q: AnnIndex(q, "pq", 8), "product codes learn from at least 78"),
    (lambda i, q: AnnIndex(q, "hnsw", 16, rerank_dim=8), "`dim` is 16"),
    (lambda i, q: AnnIndex(q, "hnsw", 8, calibration=q[:, :9]), "`calibration` has 9 coordinates"),
    (lambda i, q: AnnIndex(q, "hnsw", 8).refill(q[:, :9]), "`corpus` has 9 coordinates"),
    (lambda i, q: AnnIndex(q, "hnsw", 8).search(q, 5, shortlist_size=10), "needs a rerank"),
    (lambda i, q: AnnIndex(q, "hnsw", 8, rerank_dim=16).search(q, 10, shortlist_size=5), "`shortlist_size` is 5"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input_is_one_sentence(data, call, message):
    """What cannot be searched says what was given and what is allowed, in one line."""
    _, queries, index = data
    with pytest.raises(MrlVizError, match=message) as caught:
        call(index, queries)
    assert "\n" not in str(caught.value)


def test_missing_faiss_names_the_command(data, monkeypatch):
    """Without faiss the error holds the pip command."""
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(OptionalDependencyError, match="pip install faiss-cpu"):
        AnnIndex(data[1], "hnsw", 8)


def test_importing_retrieval_is_light():
    """Its modules load neither faiss nor scikit-learn nor torch."""
    code = (
        "import sys, mrl_viz.retrieval.adaptive, mrl_viz.retrieval.width_predictor, mrl_viz.retrieval.misses;"
        "print([m for m in ('faiss', 'sklearn', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_errors_keep_their_kind(data):
    """Empty input, wrong shapes and wrong values can be told apart."""
    _, queries, index = data
    with pytest.raises(EmptyInputError, match="no rows"):
        index.search(queries[:0])
    with pytest.raises(ShapeError, match="coordinates"):
        index.search(queries[:, :3])
    with pytest.raises(InvalidInputError, match="`k`"):
        index.search(queries, -1)
