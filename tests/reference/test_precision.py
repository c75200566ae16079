"""Width times bits on the sample: every point against a plain measurement, and the sentences against the points."""

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from mrl_viz import figures
from mrl_viz.archive import read_result, write_result
from mrl_viz.arrangements import row_keys, svd_arrangement
from mrl_viz.comparison import PrecisionComparison, compare_precisions
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import EmptyInputError, MrlVizError
from mrl_viz.retrieval.coded import stored
from mrl_viz.retrieval.codes import bytes_per_vector
from mrl_viz.tasks.retrieval import ranking_scores
from mrl_viz.truncation import normalize, truncate_and_normalize

DTYPES = ("float32", "int8", "int4", "int4-rotated", "binary", "binary-rotated", "turboquant2", "rabitq2", "rabitq1")


@pytest.fixture(scope="module")
def minilm():
    """The sample by the model whose order means nothing, with its queries."""
    return embed(read_corpus("sample"), "all-MiniLM-L6-v2")


@pytest.fixture(scope="module")
def measured(minilm):
    """Three widths of it in nine codes, with the prefix and after SVD."""
    return compare_precisions(minilm, dims=(32, 128), dtypes=DTYPES)


def at(measured, arrangement, dim, dtype):
    """The number of a point."""
    return [(p.arrangement, p.dim, p.dtype) for p in measured.points].index((arrangement, dim, dtype))


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if not dtype.startswith("rabitq")])
@pytest.mark.parametrize("arrangement", ["prefix", "svd"])
def test_points_are_sorts_by_decoded_products(minilm, measured, arrangement, dtype):
    """What is kept, and nDCG, from every query's product with what the codes stand for."""
    corpus, queries = normalize(minilm.matrix), normalize(minilm.queries)
    truth = np.argsort(-(queries @ corpus.T), axis=1, kind="stable")[:, :10]
    if arrangement == "svd":
        turn = svd_arrangement(minilm.matrix)
        corpus, queries = turn.apply(corpus), turn.apply(queries)
    for dim in (32, 384):
        products = truncate_and_normalize(queries, dim) @ stored(corpus, dim, dtype).T
        found = np.argsort(-products, axis=1, kind="stable")[:, :10]
        shares = [len(set(a) & set(b)) / 10 for a, b in zip(found, truth)]
        number = at(measured, arrangement, dim, dtype)
        point = measured.points[number]
        assert point.kept.value == pytest.approx(np.mean(shares), abs=0.003)
        np.testing.assert_allclose(measured.values[number].mean(), point.kept.value, atol=1e-6)
        rows = {text: number for number, text in enumerate(minilm.corpus.ids)}
        grades = [
            {rows[item]: grade for item, grade in minilm.corpus.qrels[query].items()}
            for query in minilm.corpus.query_ids
        ]
        scores = ranking_scores(found[None], tuple(grades), ("ndcg@10",))["ndcg@10"]
        assert point.quality.value == pytest.approx(scores.mean(), abs=0.003)
        assert point.bytes_per_vector == bytes_per_vector(dim, dtype)


def test_laws(measured):
    """Full float32 keeps all, also after a rotation; more bits of a family keep more; intervals hold their values."""
    for arrangement in measured.arrangements:
        assert measured.points[at(measured, arrangement, 384, "float32")].kept.value > 0.999
        kept = {dtype: measured.points[at(measured, arrangement, 384, dtype)].kept for dtype in DTYPES}
        assert kept["rabitq2"].low > kept["rabitq1"].value and kept["int8"].low > kept["int4"].value
    for point in measured.points:
        assert 0 <= point.kept.low <= point.kept.value <= point.kept.high <= 1
    front = measured.front()
    sizes, kept = [p.bytes_per_vector for p in front], [p.kept.value for p in front]
    assert sizes == sorted(sizes) and kept == sorted(kept)


def test_svd_spoils_signs_and_int4_until_they_are_rotated(measured):
    """The trap: after SVD plain codes lose more than the model's own order does, and a rotation gives it back."""
    full = {key: measured.points[at(measured, *key)].kept.value for key in (
        ("prefix", 384, "binary"), ("svd", 384, "binary"), ("svd", 384, "binary-rotated"),
        ("prefix", 384, "int4"), ("svd", 384, "int4"), ("svd", 384, "int4-rotated"),
    )}  # fmt: skip
    prefix, spoilt, mended, prefix4, spoilt4, mended4 = full.values()
    assert spoilt < prefix - 0.1 and mended > prefix - 0.03
    assert spoilt4 < prefix4 - 0.01 and mended4 > prefix4 - 0.01


def test_takeaways_say_what_the_points_say(measured):
    """The best in so many bytes is named with its share; a difference is claimed where its interval is above 0."""
    for size in measured.sizes:
        found = measured.within(size)
        assert all(point.bytes_per_vector <= size for point in found)
        assert found[0].kept.value == max(p.kept.value for p in measured.points if p.bytes_per_vector <= size)
        said = measured.takeaway(size)
        assert found[0].label in said and f"{found[0].kept.value:.0%}" in said
        same = (p for p in found if p.arrangement == found[0].arrangement and p.dtype in ("float32", "int8"))
        plain = next((p for p in same if p != found[0]), None)
        if plain is not None:
            sure = measured.difference(found[0], plain).low > 0
            assert ("beat" in said) is sure
    assert "fewer bits beat fewer dims" in measured.takeaway(64)
    assert "fits into 1 bytes" in replace(measured, points=measured.points[:1]).takeaway(1)
    said = measured.rotation_takeaway()
    assert said.startswith("RaBitQ or TurboQuant, in equal bytes on these vectors:")
    assert measured.difference(*measured.points[:2]).low <= measured.values[0].mean() - measured.values[1].mean()


def test_texts_among_themselves_and_learnt_maps(minilm):
    """Without queries SVD is fitted on texts that are not measured; a map that has seen them is called out."""
    alone = replace(minilm, queries=None, corpus=replace(minilm.corpus, qrels={}, pairs=(), labels={}))
    found = compare_precisions(alone, dims=(64,), dtypes=("float32", "int4-rotated"))
    assert found.is_self and found.n_items == found.n_measured == 640 and found.task is None
    assert "measured on the other 640; labels are judged on all" in found.notes[0]
    few = replace(alone, matrix=minilm.matrix[:300])
    with pytest.raises(EmptyInputError, match="`svd` needs 768 texts"):
        compare_precisions(few, dims=(64,), dtypes=("float32",), arrangements=("svd",))
    seen = svd_arrangement(minilm.matrix[:600])
    learnt = replace(seen, name="learnt", fitted_rows=row_keys(minilm.matrix[:600]))
    found = compare_precisions(minilm, dims=(64,), dtypes=("float32", "binary"), arrangements=("prefix", learnt))
    assert "learnt has learnt from some of these texts and may look better than it is." in found.notes
    assert found.arrangements == ("prefix", "learnt")


def test_labels_without_relevance(minilm):
    """Classes are voted on by the coded neighbors; scored pairs need vectors, which RaBitQ has not."""
    classes = replace(minilm, queries=None, corpus=replace(minilm.corpus, qrels={}, pairs=()))
    found = compare_precisions(classes, dims=(64,), dtypes=("float32", "rabitq2"), arrangements=("prefix",))
    assert found.metric.startswith("knn_accuracy") and all(point.quality is not None for point in found.points)
    scored = tuple((row, row + 1, float(row % 7)) for row in range(60))
    judged = replace(minilm, corpus=replace(minilm.corpus, qrels={}, labels={}, pairs=scored))
    pairs = compare_precisions(judged, dims=(64,), dtypes=("float32", "rabitq2"), arrangements=("prefix",))
    assert [point.quality is None for point in pairs.points] == [False, False, True, True]
    assert any("RaBitQ scores queries only" in note for note in pairs.notes)


def test_figures_and_file(measured, tmp_path):
    """One line a code with its widths, a grid of both, and the result again from its file."""
    lines = figures.kept_per_byte(measured, "svd", 64)
    named = {trace.name: trace for trace in lines.data}
    assert set(DTYPES) <= set(named)
    values = [p.kept.value for p in measured.points if (p.arrangement, p.dtype) == ("svd", "int4")]
    np.testing.assert_allclose(named["int4"].y, values)
    grid = figures.width_by_bits(measured)
    assert isinstance(grid, go.Figure) and np.shape(grid.data[0].z) == (len(DTYPES), 3)
    write_result(measured, tmp_path / "precision.npz", key="key")
    again = read_result(PrecisionComparison, tmp_path / "precision.npz", key="key")
    assert again.to_dict() == measured.to_dict() and again.takeaway() == measured.takeaway()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtypes": ("int5",)}, "`dtype` is 'int5'"),
        ({"dtypes": ("rabitq9",)}, "`dtype` is 'rabitq9'; choose one of .'rabitq1'"),
        ({"dtypes": ()}, "`dtypes` is"),
        ({"arrangements": ("suffix",)}, "`arrangements` has 'suffix'; choose prefix"),
        ({"dims": (1000,)}, "1000"),
        ({"k": 0}, "`k` is 0"),
        ({"task": "guess"}, "`task` is 'guess'"),
    ],
)
def test_bad_input_is_one_sentence(minilm, options, message):
    """What cannot be measured says what was given."""
    with pytest.raises(MrlVizError, match=message):
        compare_precisions(minilm, **options)


def test_too_few_texts_for_codebooks(minilm):
    """OPQ says how many it needs before anything is measured."""
    corpus = replace(minilm.corpus, qrels={}, pairs=(), labels={})
    few = replace(minilm, matrix=minilm.matrix[:200], corpus=corpus)
    with pytest.raises(EmptyInputError, match="opq2, which learns from 624 or more texts, and 200 are searched"):
        compare_precisions(few, dtypes=("opq2",), arrangements=("prefix",))
