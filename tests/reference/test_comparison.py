"""Models compared per byte: every number equals a naive one, and agreement with itself never ranks a model."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from mrl_viz.comparison import (
    DTYPES,
    calibration_rows,
    compare_models,
    encode_speed,
    neighbors_side_by_side,
    pareto_front,
)
from mrl_viz.data.corpus import corpus_from_texts, corpus_from_vectors, with_texts
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.figures.comparison import n2o_heatmap, overlap_per_byte, quality_per_byte
from mrl_viz.measures.estimate import Estimate, columns
from mrl_viz.measures.lists import neighbor_changes, neighbor_overlap
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.tasks.pairs import pair_correlations, spearman_values
from mrl_viz.truncation import truncate_and_normalize

MODELS = ("wordllama", "all-MiniLM-L6-v2")
DIMS = (16, 64)
K = 10


@pytest.fixture(scope="module")
def real():
    """The sample's first 120 texts, and the queries that have a relevant one among them, by two real models."""
    corpus = read_corpus("sample", limit=120)
    judged = [place for place, query in enumerate(corpus.query_ids) if query in corpus.qrels]
    corpus = replace(
        corpus,
        query_ids=tuple(corpus.query_ids[place] for place in judged),
        query_texts=tuple(corpus.query_texts[place] for place in judged),
    )
    return tuple(embed(corpus, model) for model in MODELS)


@pytest.fixture(scope="module")
def compared(real):
    """Both models judged by retrieval."""
    return compare_models(real, dims=DIMS, k=K)


@pytest.fixture(scope="module")
def among_texts(real):
    """Both models without queries, judged by the label columns."""
    return compare_models([replace(one, queries=None) for one in real], dims=DIMS, k=K)


def by_hand(name, width, *, seed=0, n_items=30, labels=None, pairs=(), rows=None):
    """A model of random vectors for the same texts; no model, no store."""
    source = replace(
        corpus_from_texts([f"text {row}" for row in range(n_items)]), labels=labels or {}, pairs=tuple(pairs)
    )
    if rows is None:
        rows = np.random.default_rng(seed).normal(size=(n_items, width)).astype(np.float32)
    return Embedded(source, name, None, rows, None, 1.0, "")


def naive_codes(rows, dim, dtype, calibration):
    """What the prefixes are stored as, in float64, coordinate by coordinate."""
    unit = truncate_and_normalize(rows, dim)
    if dtype == "float16":
        return unit.astype(np.float16).astype(np.float64)
    if dtype == "binary":
        return np.where(unit > 0, 1.0, -1.0)
    if dtype in ("int8", "int4"):
        steps = 255 if dtype == "int8" else 15
        low, high = unit[calibration].min(axis=0), unit[calibration].max(axis=0)
        step = (high.astype(np.float64) - low) / steps
        return low + np.clip(np.round((unit - low) / step), 0, steps) * step
    return unit.astype(np.float64)


def naive_lists(queries, stored, k, *, is_self):
    """The k nearest by cosine, query by query, ties to the lower index."""
    lists = []
    for place, query in enumerate(queries.astype(np.float64)):
        cosines = [float(query @ row / (np.linalg.norm(query) * np.linalg.norm(row))) for row in stored]
        order = sorted(range(len(stored)), key=lambda row: (-round(cosines[row], 9), row))
        lists.append([row for row in order if not (is_self and row == place)][:k])
    return lists


def naive_overlap(lists, others):
    """Mean share of the same entries."""
    return np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(lists, others)])


def point(comparison, model, dim, dtype):
    """One point of a comparison."""
    return next(p for p in comparison.points if (p.model, p.dim, p.dtype) == (model, dim, dtype))


@pytest.mark.parametrize("is_self", [False, True])
def test_overlap_of_every_width_and_dtype_is_the_naive_one(real, compared, among_texts, is_self):
    """Float queries against really decoded codes share with the full-width float32 lists what a double loop finds."""
    comparison = among_texts if is_self else compared
    calibration = calibration_rows(120)
    for name, one in zip(MODELS, real):
        queries = one.matrix if is_self else one.queries
        full = naive_lists(queries, one.matrix.astype(np.float64), K, is_self=is_self)
        for dtype, dim in (
            ("float32", 64),
            ("float16", 16),
            ("int8", 64),
            ("int4", 64),
            ("binary", 64),
            ("binary", one.full_dim),
        ):
            stored = naive_codes(one.matrix, dim, dtype, calibration)
            found = naive_lists(queries[:, :dim], stored, K, is_self=is_self)
            assert point(comparison, name, dim, dtype).overlap.value == pytest.approx(
                naive_overlap(found, full), abs=2e-3
            )


def test_float32_overlap_is_that_of_the_neighbors_page(real, among_texts):
    """In float32 overlap is `neighbor_overlap` to the last digit, with an interval around it."""
    for name, one in zip(MODELS, real):
        theirs = neighbor_overlap(nested_sweep(one.matrix, dims=DIMS, k=K))
        for level, dim in enumerate(theirs.dims):
            ours = point(among_texts, name, dim, "float32").overlap
            np.testing.assert_allclose(columns([ours]), columns([theirs.overlap[level]]), atol=1e-6)


def test_n2o_is_the_naive_share_and_symmetric(real, compared):
    """Neighbors in common between models, in full and at each common width, are those of sets of naive lists."""
    for dim in (16, 64, None):
        at = compared.agreement_at(dim)
        lists = [
            naive_lists(one.queries[:, :dim], one.matrix[:, :dim].astype(np.float64), K, is_self=False) for one in real
        ]
        shared = at.overlap[0][1]
        assert shared.value == pytest.approx(naive_overlap(*lists), abs=2e-3)
        assert shared == at.overlap[1][0] and at.overlap[0][0].value == 1
        assert shared.low <= shared.value <= shared.high
    assert [at.dim for at in compared.agreement] == [16, 64, None]
    assert [row["dim"] for row in compared.agreement_rows()] == [16, 64, None]
    with pytest.raises(
        InvalidInputError, match=r"`dim` is 256, which was not measured for all models; choose one of \[16, 64\]"
    ):
        compared.agreement_at(256)


def test_float32_quality_is_that_of_evaluate(real, compared, among_texts):
    """The main metric, its value and interval in float32 are `evaluate`'s, for retrieval and for classes."""
    for comparison, task in ((compared, "retrieval"), (among_texts, "classification")):
        for name, one in zip(MODELS, real):
            source = replace(one.corpus, labels={"domain": one.corpus.labels["domain"]})
            theirs = evaluate(replace(one, corpus=source), dims=DIMS, task=task)
            curve = theirs.curves[comparison.metric]
            assert (comparison.task, comparison.metric, comparison.n_judged) == (
                task,
                theirs.main_metric,
                curve.n_items,
            )
            for level, dim in enumerate(curve.dims):
                ours = point(comparison, name, dim, "float32").quality
                np.testing.assert_allclose(columns([ours]), columns([curve.value[level]]), atol=1e-9)


def test_coded_retrieval_is_the_naive_ndcg(real, compared):
    """nDCG@10 of codes is that of ranking the decoded codes by hand, graded gains, log2 discount."""
    source = real[0].corpus
    calibration = calibration_rows(120)
    for name, one in zip(MODELS, real):
        for dtype in ("int8", "binary"):
            ranked = naive_lists(
                one.queries[:, :64], naive_codes(one.matrix, 64, dtype, calibration), 10, is_self=False
            )
            values = []
            for query, found in zip(source.query_ids, ranked):
                grades = source.qrels[query]
                gain = sum(grades.get(source.ids[row], 0) / np.log2(rank + 2) for rank, row in enumerate(found))
                ideal = sorted(grades.values(), reverse=True)[:10]
                values.append(gain / sum(grade / np.log2(rank + 2) for rank, grade in enumerate(ideal)))
            assert point(compared, name, 64, dtype).quality.value == pytest.approx(np.mean(values), abs=2e-3)


def test_coded_classes_are_the_naive_majority(real, among_texts):
    """kNN accuracy of codes is the vote of the five nearest decoded codes around each float text."""
    labels = real[0].corpus.labels["domain"]
    for name, one in zip(MODELS, real):
        stored = naive_codes(one.matrix, 16, "binary", calibration_rows(120))
        correct = []
        for row, found in enumerate(naive_lists(one.matrix[:, :16], stored, 5, is_self=True)):
            votes = [labels[near] for near in found]
            correct.append(max(sorted(set(votes)), key=votes.count) == labels[row])
        assert point(among_texts, name, 16, "binary").quality.value == pytest.approx(np.mean(correct), abs=0.01)


def test_pairs_are_correlated_codes_with_codes():
    """Spearman of decoded codes is scipy's, and the interval of float32 is close to that of resampled ranks."""
    rng = np.random.default_rng(1)
    pairs = [(row, row + 150, float(score)) for row, score in enumerate(rng.integers(0, 6, 150))]
    rows = rng.normal(size=(300, 32)).astype(np.float32)
    rows[150:] = rows[150:] + rows[:150] * (np.array([pair[2] for pair in pairs])[:, None] / 3)
    models = [by_hand("a", 32, n_items=300, pairs=pairs, rows=rows), by_hand("b", 8, n_items=300, pairs=pairs)]
    result = compare_models(models, dims=[8])
    assert (result.task, result.metric, result.n_judged) == ("pairs", "spearman", 150)
    scores = [pair[2] for pair in pairs]
    for dtype in ("int8", "binary"):
        stored = naive_codes(rows, 8, dtype, calibration_rows(300))
        unit = stored / np.linalg.norm(stored, axis=1, keepdims=True)
        cosines = np.round(np.einsum("ij,ij->i", unit[:150], unit[150:]), 6)
        assert point(result, "a", 8, dtype).quality.value == pytest.approx(
            spearmanr(cosines, scores).statistic, abs=1e-3
        )
    theirs = pair_correlations(rows[:150], rows[150:], scores, dims=[8])["spearman"].value
    for level, dim in enumerate((8, 32)):
        ours = point(result, "a", dim, "float32").quality
        assert ours.value == pytest.approx(theirs[level].value, abs=1e-9)
        assert (ours.low, ours.high) == pytest.approx((theirs[level].low, theirs[level].high), abs=0.015)


def test_spearman_values_are_what_one_more_pair_changes():
    """Their mean is Spearman's correlation, ties included; each is what one more such pair changes, by finite steps."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 30, 60).astype(float), rng.integers(0, 6, 60).astype(float)
    b[:30] = a[:30]
    values = spearman_values(a, b)
    assert values.mean() == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    repeats = 400  # every pair this often, and one of them once more
    for row in (0, 17, 45):
        more = spearmanr(np.append(np.repeat(a, repeats), a[row]), np.append(np.repeat(b, repeats), b[row])).statistic
        step = (more - values.mean()) * (len(a) * repeats + 1)
        assert values[row] - values.mean() == pytest.approx(step, abs=5e-3)
    assert not spearman_values(np.ones(5), np.arange(5.0)).any()


def test_pareto_front_is_the_naive_one():
    """A point is on the front unless a double loop finds one that costs no more, is as good, and is better in one."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        cost, quality = rng.integers(1, 6, 12), rng.integers(0, 5, 12)
        naive = [
            not any(c <= cost[i] and q >= quality[i] and (c < cost[i] or q > quality[i]) for c, q in zip(cost, quality))
            for i in range(12)
        ]
        assert pareto_front(cost, quality).tolist() == naive
    with pytest.raises(ShapeError, match="`cost` has 2 values and `quality` 1"):
        pareto_front([1, 2], [1])


def test_points_carry_bytes_and_the_front_goes_by_quality(compared):
    """Bytes are width x bits / 8, every model has every dtype at its own widths, the front is of all quality."""
    bits = {"float32": 32, "float16": 16, "int8": 8, "int4": 4, "binary": 1}
    assert len(compared.points) == 2 * 3 * 5 == len(compared.rows())
    assert all(p.bytes_per_vector == p.dim * bits[p.dtype] // 8 for p in compared.points)
    assert {(p.model, p.dim) for p in compared.points} == {
        ("wordllama", 16), ("wordllama", 64), ("wordllama", 256),
        ("all-MiniLM-L6-v2", 16), ("all-MiniLM-L6-v2", 64), ("all-MiniLM-L6-v2", 384),
    }  # fmt: skip
    front = pareto_front([p.bytes_per_vector for p in compared.points], [p.quality.value for p in compared.points])
    assert [p.is_on_front for p in compared.points] == front.tolist()
    assert [p.bytes_per_vector for p in compared.front()] == sorted(
        p.bytes_per_vector for p in compared.points if p.is_on_front
    )


def test_models_carry_size_seconds_and_distance_to_the_best(real, compared):
    """Size is the catalogue's; the best is 0 behind, the other's distance is the paired difference of the two."""
    wordllama, minilm = compared.models
    assert (wordllama.size_mb, minilm.size_mb) == (16, 91) and wordllama.matryoshka_dims == (64, 128, 256)
    assert minilm.embed_seconds == real[1].seconds and minilm.texts_per_second is None
    assert minilm.behind == Estimate(0, 0, 0)
    assert wordllama.behind.value == pytest.approx(wordllama.quality.value - minilm.quality.value)
    assert wordllama.behind.low < wordllama.behind.value < wordllama.behind.high
    assert compared.takeaway().startswith("In full, all-MiniLM-L6-v2 has the highest ndcg@10")
    given = compare_models(real, dims=DIMS, texts_per_second={"wordllama": 1e5})
    assert [model.texts_per_second for model in given.models] == [1e5, None]


def test_agreement_with_itself_never_ranks():
    """A model that truncation cannot hurt, and that knows nothing, keeps overlap 1 and ranks below one that knows."""
    labels = {"label": ["a", "b"] * 30}
    rng = np.random.default_rng(0)
    empty = np.zeros((60, 64), np.float32)
    empty[:, :8] = rng.normal(size=(60, 8))
    # Unlike directions for the two classes; most of the rest comes after the first coordinates.
    good = rng.normal(size=(60, 64)).astype(np.float32)
    good[:, :8] *= 0.3
    good[::2, 0] += 3
    good[1::2, 0] -= 3
    models = [
        by_hand("steady", 64, n_items=60, labels=labels, rows=empty),
        by_hand("good", 64, n_items=60, labels=labels, rows=good),
    ]
    result = compare_models(models, dims=[8])
    shares = [point(result, name, 8, "float32").overlap.value for name in ("steady", "good")]
    assert shares[0] == 1 > shares[1]
    assert {p.model for p in result.front()} == {
        "good"
    } and "good has the highest knn_accuracy:label" in result.takeaway()
    unlabelled = compare_models(
        [by_hand("steady", 64, n_items=60, rows=empty), by_hand("good", 64, n_items=60, rows=good)]
    )
    assert unlabelled.front() == () and unlabelled.metric is None and unlabelled.task is None
    assert all(p.is_on_front is None and p.quality is None for p in unlabelled.points)
    assert all(model.quality is None and model.behind is None for model in unlabelled.models)
    assert unlabelled.takeaway().startswith("Nothing here ranks these models")
    for model in unlabelled.models:
        enough = [p.bytes_per_vector for p in unlabelled.points if p.model == model.name and p.overlap.low >= 0.9]
        assert f"{model.name} {min(enough):,} (" in unlabelled.self_takeaway()
    with pytest.raises(InvalidInputError, match="`comparison` has no task quality"):
        quality_per_byte(unlabelled)


def test_indistinguishable_models_are_called_so():
    """Models of noise: the takeaway says that the judged texts cannot tell them apart."""
    labels = {"label": ["a", "b"] * 15}
    result = compare_models([by_hand(name, 16, seed=seed, labels=labels) for seed, name in enumerate("abc")])
    assert "which 30 judged cannot tell from no difference" in result.takeaway()
    assert len(result.agreement_rows()) == 3 * len(result.agreement)


def test_side_by_side_is_each_models_own_change(real, among_texts):
    """Changes are `neighbor_changes` of each model's sweep; shared items are in every list; narrow models stay full."""
    seen = neighbors_side_by_side(among_texts, 7, 64)
    lists = []
    for model, one in zip(seen.models, real):
        sweep = nested_sweep(one.matrix, dims=[64], k=K)
        assert model.changes == neighbor_changes(sweep.indices, sweep.dims, 7, 64)
        lists.append([set(sweep.indices[level, 7].tolist()) for level in (0, -1)])
    assert set(seen.shared) == lists[0][0] & lists[1][0] and set(seen.shared_full) == lists[0][1] & lists[1][1]
    texts = real[0].corpus.texts
    rows = seen.rows(texts)
    assert all(row["text"] == texts[row["item"]] for row in rows)
    assert all((row["n_models"] == 2) == (row["item"] in seen.shared) for row in rows if row["change"] != "lost")
    assert f"have {len(seen.shared)} in common" in seen.takeaway() and json.dumps(seen.to_dict())
    wide = neighbors_side_by_side(among_texts, 7, 384)
    assert [model.dim for model in wide.models] == [256, 384] and not wide.models[0].changes.lost
    with pytest.raises(InvalidInputError, match="`item` is 120 but there are 120 texts"):
        neighbors_side_by_side(among_texts, 120, 64)
    with pytest.raises(DimensionError, match="`dim` is 385"):
        neighbors_side_by_side(among_texts, 0, 385)


def test_side_by_side_of_a_query(real, compared):
    """With queries the item is a query, and no text is left out."""
    seen = neighbors_side_by_side(compared, 2, 64)
    for model, one in zip(seen.models, real):
        sweep = nested_sweep(one.matrix, one.queries, dims=[64], k=K)
        assert model.changes == neighbor_changes(sweep.indices, sweep.dims, 2, 64)
    assert "of this query" in seen.takeaway()
    with pytest.raises(InvalidInputError, match="queries; choose 0"):
        neighbors_side_by_side(compared, -1, 64)


def test_ready_vectors_are_models_called_by_file():
    """Files of vectors compare with each other and, with texts, with a model; labels of one judge all."""
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(20, width)) for width in (12, 24)]
    labels = {"label": ["a", "b"] * 10}
    first = embed(corpus_from_vectors(rows[0], name="one.npy"))
    second = embed(corpus_from_vectors(rows[1], name="two.npy", labels=labels))
    result = compare_models([first, second], dims=[8], k=5)
    assert [model.name for model in result.models] == ["one.npy", "two.npy"] and result.task == "classification"
    assert all(model.size_mb is None and model.embed_seconds is None for model in result.models)
    texts = [f"text {row}" for row in range(20)]
    named = embed(with_texts(first.corpus, texts))
    assert [m.name for m in compare_models([named, by_hand("m", 6, n_items=20)], k=5).models] == ["one.npy", "m"]
    with pytest.raises(InvalidInputError, match=r"`m` has other texts than `one\.npy`"):
        compare_models([first, by_hand("m", 6, n_items=20)])


def test_tasks_that_not_all_models_can_do_are_noted(real):
    """Without every model's queries the next task judges and a note says why; asked for by name it is an error."""
    mixed = (real[0], replace(real[1], queries=None))
    result = compare_models(mixed, dims=[16])
    assert result.task == "classification" and result.is_self
    notes = " ".join(result.notes)
    assert "Not judged by retrieval: `all-MiniLM-L6-v2` has 0 query vectors" in notes and "Not every model" in notes
    with pytest.raises(InvalidInputError, match="`all-MiniLM-L6-v2` has 0 query vectors"):
        compare_models(mixed, dims=[16], task="retrieval")
    with pytest.raises(
        InvalidInputError, match="`task` is 'pairs' but `sample` has labels for retrieval, classification"
    ):
        compare_models(real, task="pairs")
    with pytest.raises(InvalidInputError, match="has no labels; leave the task out"):
        compare_models([by_hand("a", 8), by_hand("b", 8)], task="pairs")


def test_unusable_labels_leave_no_ranking():
    """One class, constant scores, two pairs or a score that is no number are noted, and nothing is ranked."""
    bad = (
        {"labels": {"label": ["a"] * 30}},
        {"labels": {"x": ["a"] * 30, "y": ["b"] * 30}},
        {"pairs": [(0, 1, 1.0), (2, 3, 1.0), (4, 5, 1.0)]},
        {"pairs": [(0, 1, 1.0), (2, 3, 2.0)]},
        {"pairs": [(0, 1, 1.0), (2, 3, 2.0), (4, 5, float("nan"))]},
    )
    for labels in bad:
        result = compare_models([by_hand("a", 8, **labels), by_hand("b", 8, seed=1, **labels)], k=3)
        assert result.metric is None and "Not judged by" in " ".join(result.notes)


def test_inputs_that_cannot_be_compared_are_refused():
    """Too few, too many, twice the same, other texts or queries, and k or widths out of range: one clear error each."""
    a, b = by_hand("a", 8), by_hand("b", 16)
    with pytest.raises(InvalidInputError, match="`embedded` has 1 models; compare 2 to 4"):
        compare_models([a])
    with pytest.raises(InvalidInputError, match="`embedded` has 5 models"):
        compare_models([a] * 5)
    with pytest.raises(InvalidInputError, match="give each model once"):
        compare_models([a, a])
    with pytest.raises(InvalidInputError, match="`c` has other texts than `a`"):
        compare_models([a, by_hand("c", 8, n_items=20)])
    with pytest.raises(InvalidInputError, match="`k` is 30 but an item here has 29"):
        compare_models([a, b], k=30)
    with pytest.raises(DimensionError, match="`dim` is 17"):
        compare_models([a, b], dims=[17])
    queries = [replace(one, queries=one.matrix[:n]) for one, n in ((a, 3), (b, 4))]
    with pytest.raises(InvalidInputError, match=r"`embedded` has \[3, 4\] queries"):
        compare_models(queries)


def test_widths_are_each_models_own(monkeypatch):
    """A width that only the wide model has is measured there; large corpora are sampled with a note; progress ends."""
    monkeypatch.setattr("mrl_viz.comparison.compare.MOST_MEASURED", 12)
    monkeypatch.setattr("mrl_viz.comparison.compare.MOST_CLASSIFIED", 20)
    labels = {"label": ["a", "b"] * 15}
    a, b = by_hand("a", 8, labels=labels), by_hand("b", 32, labels=labels)
    before = [one.matrix.copy() for one in (a, b)]
    steps = []
    result = compare_models([a, b], dims=[4, 16], k=3, progress=lambda *at: steps.append(at))
    assert {(p.model, p.dim) for p in result.points} == {("a", 4), ("a", 8), ("b", 4), ("b", 16), ("b", 32)}
    assert steps == [(n, 22) for n in range(1, 23)]
    assert result.n_measured == 12 and result.n_judged <= 20 and "seeded sample of 12 of 30" in " ".join(result.notes)
    assert point(result, "b", 32, "float32").overlap.value == 1
    assert [at.dim for at in result.agreement] == [4, None]
    assert all(np.array_equal(old, one.matrix) for old, one in zip(before, (a, b)))
    assert result == compare_models([a, b], dims=[4, 16], k=3)


def test_duplicates_and_zero_vectors_are_compared():
    """Equal and zero vectors leave every list k long without its own text; all numbers stay finite."""
    rows = np.zeros((12, 8), np.float32)
    rows[4:] = np.repeat(np.eye(8, dtype=np.float32)[:2], 4, axis=0)
    result = compare_models([by_hand("a", 8, n_items=12, rows=rows), by_hand("b", 4, n_items=12)], k=11, dims=[1, 2])
    assert all(p.overlap.value == 1 for p in result.points)
    assert result.agreement_at().overlap[0][1].value == 1 == result.chance


def test_plain_data_is_json(compared, among_texts):
    """to_dict is schema 1, finite JSON with models, points and N2O."""
    data = json.loads(json.dumps(compared.to_dict(), allow_nan=False))
    assert data["schema"] == 1 and data["neighbors_of"] == "queries" and data["takeaway"] == compared.takeaway()
    assert [model["name"] for model in data["models"]] == list(MODELS)
    assert len(data["points"]) == 30 and [at["dim"] for at in data["n2o"]] == [16, 64, None]
    assert among_texts.to_dict()["neighbors_of"] == "texts"


def test_encode_speed_counts_texts():
    """Texts per second of what was called, at least one round; no texts are refused."""
    calls = []
    speed = encode_speed(calls.append, ["a", "b", "c"], n_texts=2)
    assert speed > 0 and calls[0] == ["a"] and calls[1] == ["a", "b"]
    with pytest.raises(EmptyInputError, match="`texts` is empty"):
        encode_speed(calls.append, [])


def test_figures_show_the_points(compared):
    """A line and points per model, rings on the front, symbols by dtype, and an empty diagonal."""
    figure = quality_per_byte(compared)
    ring = figure.data[0]
    assert list(ring.x) == [p.bytes_per_vector for p in compared.front()] and ring.name == "Pareto front"
    np.testing.assert_allclose(ring.y - ring.error_y.arrayminus, [p.quality.low for p in compared.front()])
    line, marks = figure.data[1:3]
    own = [p for p in compared.points if p.model == "wordllama"]
    assert list(marks.y) == [p.quality.value for p in own] and len(set(marks.marker.symbol)) == len(DTYPES)
    assert list(line.y) == sorted(line.y) and set(line.y) <= set(marks.y)
    assert [trace.line.dash for trace in figure.data[1:4:2]] == ["solid", "dash"]
    overlap = overlap_per_byte(compared)
    assert list(overlap.data[1].y) == [p.overlap.value for p in own] and "Pareto front" not in [
        t.name for t in overlap.data
    ]
    heat = n2o_heatmap(compared, 64).data[0]
    assert np.isnan(np.diag(heat.z)).all() and heat.z[0][1] == compared.agreement_at(64).overlap[0][1].value
