"""Task quality from one encoding: the numbers of sentence-transformers' evaluators, and every bad label decided."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from mrl_viz.analysis import analyse, controls
from mrl_viz.data.corpus import corpus_from_texts, corpus_from_vectors
from mrl_viz.data.reading import read_corpus
from mrl_viz.data.samples import sample_data_folder
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.figures.quality import quality_curves
from mrl_viz.measures.estimate import columns
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.tasks.pairs import pair_correlations
from mrl_viz.tasks.task import available_tasks
from mrl_viz.truncation import truncate_and_normalize

RNG = np.random.default_rng(0)
DIMS = [32, 128]


@pytest.fixture(scope="module")
def sample():
    """The harder sample: labels at two levels, queries and graded relevance, and room below every score."""
    return embed(read_corpus("sample:hard"))


@pytest.fixture(scope="module")
def model():
    """The default model as sentence-transformers has it."""
    from mrl_viz.embedding.encoders import load_encoder
    from mrl_viz.embedding.encoders.sentence_transformers import as_sentence_transformer

    return as_sentence_transformer(load_encoder("wordllama")).model


@pytest.fixture(scope="module")
def retrieval(sample):
    """Retrieval quality of the sample with binary relevance."""
    return evaluate(sample, dims=DIMS, task="retrieval", binary_qrels=True)


def vectors(labels=None, pairs=(), n_items=40):
    """A corpus of ready vectors with labels or pairs."""
    corpus = corpus_from_vectors(RNG.normal(size=(n_items, 16)).astype(np.float32), labels=labels)
    return embed(replace(corpus, pairs=tuple(pairs)))


def test_retrieval_equals_sentence_transformers_at_every_width(sample, model, retrieval):
    """nDCG@10, recall@10, MRR@10 and MAP@100 are those of InformationRetrievalEvaluator with truncate_dim."""
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    source = sample.corpus
    queries, corpus = dict(zip(source.query_ids, source.query_texts)), dict(zip(source.ids, source.texts))
    relevant = {query: {doc for doc, grade in grades.items() if grade > 0} for query, grades in source.qrels.items()}
    for level, dim in enumerate((32, 128, 256)):
        theirs = InformationRetrievalEvaluator(
            queries, corpus, relevant, truncate_dim=dim, precision_recall_at_k=[10], batch_size=512, write_csv=False
        )(model)
        for ours, name in (
            ("ndcg@10", "ndcg@10"),
            ("recall@10", "recall@10"),
            ("mrr@10", "mrr@10"),
            ("map@100", "map@100"),
        ):
            assert retrieval.curves[ours].value[level].value == pytest.approx(theirs[f"cosine_{name}"], abs=1e-6), (
                name,
                dim,
            )


def test_pairs_equal_sentence_transformers_at_every_width(model):
    """Spearman and Pearson are those of EmbeddingSimilarityEvaluator with truncate_dim."""
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

    corpus = read_corpus(sample_data_folder() / "pairs.csv")
    result = evaluate(embed(corpus), dims=DIMS)
    left, right, scores = zip(*corpus.pairs)
    for level, dim in enumerate((32, 128, 256)):
        theirs = EmbeddingSimilarityEvaluator(
            [corpus.texts[i] for i in left], [corpus.texts[i] for i in right], list(scores), truncate_dim=dim,
            write_csv=False,             main_similarity="cosine",
        )(model)  # fmt: skip
        assert result.curves["spearman"].value[level].value == pytest.approx(theirs["spearman_cosine"], abs=1e-4)
        assert result.curves["pearson"].value[level].value == pytest.approx(theirs["pearson_cosine"], abs=1e-5)
    assert result.task == "pairs"


def test_plain_data_is_task_and_metrics(retrieval):
    """to_dict holds the task, and per metric and width the value, interval, retention and p; all of it JSON."""
    data = json.loads(json.dumps(retrieval.to_dict(), allow_nan=False))
    assert set(data) == {"task", "metrics"} and data["task"] == "retrieval"
    assert list(data["metrics"]) == ["ndcg@10", "recall@10", "recall@100", "mrr@10", "map@100"]
    for rows in data["metrics"].values():
        assert [row["dim"] for row in rows] == [32, 128, 256]
        assert all(set(row) == {"dim", "value", "low", "high", "retention", "p_holm"} for row in rows)
        assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
        assert (rows[-1]["retention"], rows[-1]["p_holm"]) == (1, 1)
    assert len(retrieval.rows()) == 15


def test_graded_relevance_differs_from_binary(sample, retrieval):
    """Grades move nDCG and leave recall alone."""
    graded = evaluate(sample, dims=DIMS)
    assert graded.task == "retrieval"
    assert graded.curves["ndcg@10"].value != retrieval.curves["ndcg@10"].value
    assert graded.curves["recall@10"] == retrieval.curves["recall@10"]


def test_classification_measures_both_label_levels(sample):
    """Coarse and fine labels each have kNN, mAP, logistic regression, few-shot and silhouette, and coarse is easier."""
    steps = []
    result = evaluate(sample, dims=[8, 64], task="classification", progress=lambda *at: steps.append(at))
    kinds = (
        "knn_accuracy", "1nn_accuracy", "map@10", "logistic_accuracy", "1_shot_accuracy", "3_shot_accuracy",
        "5_shot_accuracy", "silhouette",
    )  # fmt: skip
    assert list(result.curves) == [f"{kind}:{column}" for column in ("domain", "topic") for kind in kinds]
    assert steps[-1] == (16, 16)
    for kind in kinds[:5]:
        coarse, fine = result.curves[f"{kind}:domain"], result.curves[f"{kind}:topic"]
        assert all(a.value > b.value for a, b in zip(coarse.value, fine.value))
    assert result.curves["silhouette:topic"].retention == (None, None, None)
    assert "knn_accuracy:domain is" in result.takeaway()


def test_available_labels_decide_the_task(sample):
    """Relevance comes before pairs and pairs before classes; a task without labels is refused by name."""
    assert available_tasks(sample.corpus) == ("retrieval", "classification")
    both = vectors({"label": ["a", "b"] * 20}, [(0, 1, 2.0), (2, 3, 1.0), (4, 5, 0.0)])
    assert available_tasks(both.corpus) == ("pairs", "classification") and evaluate(both, dims=[4]).task == "pairs"
    assert evaluate(both, dims=[4], task="classification").task == "classification"
    with pytest.raises(
        InvalidInputError, match="`task` is 'retrieval' but `vectors` has labels for pairs, classification"
    ):
        evaluate(both, dims=[4], task="retrieval")


def test_small_data_says_so():
    """Few judged texts give an interval that is called too wide to choose by."""
    result = evaluate(vectors({"label": ["a", "b"] * 6}, n_items=12), dims=[4])
    assert result.curves["knn_accuracy:label"].is_too_wide
    assert "with 12 judged the intervals are too wide" in result.takeaway()


def test_left_out_labels_are_noted():
    """Singles, missing labels, unusable columns and too many shots each leave a note, and the rest is measured."""
    labels = {"good": ["a", "a", "b", "b", "c", None] + ["b"] * 14, "one": ["x"] * 20}
    result = evaluate(vectors(labels, n_items=20), dims=[4])
    notes = " ".join(result.notes)
    assert "`one` has one class only" in notes and "`good`: 1 texts without a label" in notes
    assert "1 texts alone in their class" in notes and "3-shot is left out" in notes
    assert "knn_accuracy:good" in result.curves and "3_shot_accuracy:good" not in result.curves


def test_large_corpora_fit_logistic_regression_on_a_sample(monkeypatch):
    """Above the limit a seeded sample stands in, with a note; classes that fall to one member drop out of it."""
    monkeypatch.setattr("mrl_viz.tasks.evaluation.MOST_LOGISTIC_ITEMS", 20)
    labels = {"label": ["a"] * 30 + ["b"] * 26 + ["c"] * 4}
    result = evaluate(vectors(labels, n_items=60), dims=[4])
    curve = result.curves["logistic_accuracy:label"]
    assert curve.n_items <= 20 and "measured on a sample of" in " ".join(result.notes)


def test_unlabelled_and_one_class_corpora_are_refused(sample):
    """No labels, one class, queries that were not embedded, and widths out of range are one clear error each."""
    with pytest.raises(EmptyInputError, match="`vectors` has no labels to evaluate with"):
        evaluate(vectors(), dims=[4])
    with pytest.raises(InvalidInputError, match="`label` has one class only"):
        evaluate(vectors({"label": ["a"] * 40}), dims=[4])
    with pytest.raises(InvalidInputError, match="no label column with two classes"):
        evaluate(vectors({"x": ["a"] * 40, "y": ["b"] * 40}), dims=[4])
    with pytest.raises(InvalidInputError, match="`queries` has 0 query vectors for 96 judged queries"):
        evaluate(replace(sample, queries=None), dims=[4])
    with pytest.raises(DimensionError, match="`dim` is 300"):
        evaluate(sample, dims=[300])


def test_pair_scores_that_cannot_be_correlated_are_refused():
    """Constant, missing, few and infinite scores are one clear error each; constant cosines correlate 0."""
    left, right = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 4))
    with pytest.raises(InvalidInputError, match="`scores` are all 3"):
        pair_correlations(left, right, [3] * 5, dims=[2])
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        pair_correlations(left, right, [1, 2, 3, 4, np.inf], dims=[2])
    with pytest.raises(ShapeError, match="`scores` has 4 values"):
        pair_correlations(left, right, [1, 2, 3, 4], dims=[2])
    with pytest.raises(EmptyInputError, match="`scores` has 2 pairs"):
        pair_correlations(left[:2], right[:2], [1, 2], dims=[2])
    assert pair_correlations(np.abs(left), np.abs(right), [1, 2, 3, 4, 5], dims=[1])["spearman"].value[0].value == 0


def test_pair_correlations_and_intervals_are_scipys():
    """Values equal scipy's, the interval is near that of scipy's own resampling, and p is small for a real drop."""
    from scipy.stats import bootstrap

    rows = RNG.normal(size=(150, 8))
    other = rows + RNG.normal(size=(150, 8))
    scores = np.einsum("ij,ij->i", *(truncate_and_normalize(side, 8) for side in (rows, other))) + 0.1 * RNG.normal(
        size=150
    )
    result = pair_correlations(rows, other, scores, dims=[2])
    for level, dim in enumerate((2, 8)):
        cosines = np.einsum("ij,ij->i", *(truncate_and_normalize(side, dim) for side in (rows, other)))
        assert result["spearman"].value[level].value == pytest.approx(spearmanr(cosines, scores).statistic, abs=1e-4)
        assert result["pearson"].value[level].value == pytest.approx(pearsonr(cosines, scores).statistic, abs=1e-5)
    theirs = bootstrap(
        (cosines, scores), lambda a, b: spearmanr(a, b).statistic, paired=True, vectorized=False, method="percentile",
        n_resamples=400, rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    own = result["spearman"].value[1]
    assert (own.low, own.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert result["spearman"].p_holm[0] < 0.01 and result["spearman"].p_holm[1] == 1
    assert result["pearson"].takeaway().startswith("pearson is") and result["pearson"].n_items == 150


def test_quality_figure_shows_value_and_share_side_by_side(sample, retrieval):
    """Two panels with the same widths; several metrics share them; a metric without shares leaves its panel empty."""
    figure = quality_curves(retrieval, focus_dim=128)
    value, share = (trace for trace in figure.data if trace.name == "ndcg@10")
    middle, low, _ = columns(retrieval.curves["ndcg@10"].value)
    np.testing.assert_allclose(value.y, middle)
    np.testing.assert_allclose(share.y, columns(retrieval.curves["ndcg@10"].retention)[0])
    np.testing.assert_allclose(value.y - value.error_y.arrayminus, low)
    stars = ["*" if p < 0.05 else "" for p in retrieval.curves["ndcg@10"].p_holm]
    assert list(value.text) == list(share.text) == stars and "*" in stars and value.marker.symbol == "circle"
    classes = evaluate(sample, dims=[8], task="classification")
    figure = quality_curves(classes, ["knn_accuracy:domain", "knn_accuracy:topic", "silhouette:topic"])
    assert len(figure.data) == 6 and np.isnan(np.array(figure.data[-1].y, dtype=float)).all()


def test_controls_of_an_embedded_corpus(sample):
    """The sample's own model is called trained from its passages, with the SVD left out for want of rows."""
    result = controls(analyse(replace(sample, queries=None), dims=[32, 64, 128]))
    assert result.nestedness.verdict == "trained Matryoshka" and result.nestedness.z[1] > 5
    assert "svd" not in result.curves and "needs 512 texts" in result.notes[0]


def test_ready_vectors_evaluate_like_texts():
    """An Embedded made by hand is enough: no model, no store."""
    source = replace(corpus_from_texts(["a", "b", "c", "d"]), labels={"label": ("x", "x", "y", "y")})
    rows = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], dtype=np.float32)
    result = evaluate(Embedded(source, "by hand", None, rows, None, 0.0, ""), dims=[2])
    assert result.curves["1_shot_accuracy:label"].value[0].value == 1.0
