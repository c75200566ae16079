"""Hybrid search: BM25 and reciprocal rank fusion against their formulas, and what plans and widths are judged by."""

import math
import re

import numpy as np
import pytest

from mrl_viz.data.corpus import corpus_from_texts, corpus_from_vectors, with_queries, with_retrieval, with_texts
from mrl_viz.data.reading import read_corpus
from mrl_viz.decide import measure_candidates
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.measures.lists import neighbor_lists
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.tasks.hybrid import FUSION_DEPTH, bm25_lists, fused_lists, hybrid_of
from mrl_viz.tasks.retrieval import ranking_scores, read_judgements

TEXTS = (
    "the cat sat on the mat", "a dog and a cat", "the dog sat", "birds sing in the morning", "morning, morning: a cat",
    "nothing of that",
)  # fmt: skip


def naive_bm25(texts, query, k1=1.5, b=0.75):
    """Lucene's BM25: idf ln(1 + (N - n + ½) / (n + ½)) times tf / (tf + k1 (1 - b + b |d| / mean |d|))."""
    words = [re.findall(r"\w\w+", text.lower()) for text in texts]
    mean = sum(map(len, words)) / len(words)
    scores = []
    for own in words:
        score = 0.0
        for word in re.findall(r"\w\w+", query.lower()):
            n, tf = sum(word in other for other in words), own.count(word)
            idf = math.log(1 + (len(words) - n + 0.5) / (n + 0.5))
            score += idf * tf / (tf + k1 * (1 - b + b * len(own) / mean))
        scores.append(score)
    return scores


def naive_fusion(lists, k, fusion_k):
    """Σ 1 / (fusion_k + rank) of a few lists, ties to the lower index, filled with -1."""
    scores = {}
    for ranked in lists:
        for rank, item in enumerate(ranked, start=1):
            if item >= 0:
                scores[item] = scores.get(item, 0.0) + 1 / (fusion_k + rank)
    best = sorted(scores, key=lambda item: (-scores[item], item))[:k]
    return [*best, *[-1] * (k - len(best))]


@pytest.mark.parametrize("query", ["cat", "The CAT sat", "morning dog dog", "a", "zebra", ""])
def test_bm25_is_the_formula(query):
    """Texts come by falling score of the formula, those without a shared word not at all."""
    scores = naive_bm25(TEXTS, query)
    expected = sorted((row for row, score in enumerate(scores) if score > 0), key=lambda row: (-scores[row], row))
    found = bm25_lists(TEXTS, [query], depth=len(TEXTS))
    assert found.tolist() == [[*expected, *[-1] * (len(TEXTS) - len(expected))]]


def test_bm25_breaks_ties_by_place_and_leaves_a_text_itself_out():
    """Equal texts are found in their order; a text that asks is not its own answer; lists are cut at their depth."""
    texts = ["red apple", "green pear", "red apple", "red apple"]
    assert bm25_lists(texts, ["apple"], depth=4).tolist() == [[0, 2, 3, -1]]
    assert bm25_lists(texts, texts[2:], depth=3, own=[2, 3]).tolist() == [[0, 3, -1], [0, 2, -1]]
    assert bm25_lists(texts, ["apple"], depth=2).tolist() == [[0, 2]]
    assert bm25_lists(["!", "a"], ["a"], depth=2).tolist() == [[-1, -1]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fusion_k", [1, 60])
def test_fusion_is_the_naive_loop(seed, fusion_k):
    """Random lists at several widths, some of them short, fused as a loop over dictionaries does it."""
    rng = np.random.default_rng(seed)
    dense = np.array([[rng.permutation(30)[:8] for _ in range(6)] for _ in range(3)])
    words = np.array([rng.permutation(30)[:12] for _ in range(6)])
    words[0], words[1, 5:], dense[2, 2, 4:] = -1, -1, -1
    for k in (1, 8, 25):
        found = fused_lists(dense, words, k=k, fusion_k=fusion_k)
        expected = [
            [naive_fusion((ranked, beside), k, fusion_k) for ranked, beside in zip(level, words)] for level in dense
        ]
        assert found.tolist() == expected
    assert found.dtype == np.int64


def test_fusion_breaks_ties_by_place():
    """An item that is first in one list ties with the first of the other; the lower place comes first."""
    assert fused_lists(np.array([[9, 4]]), np.array([[3, 5]])).tolist() == [[3, 9]]
    assert fused_lists(np.array([[9, 4]]), np.array([[3, 5]]), k=5).tolist() == [[3, 9, 4, 5, -1]]


def test_equal_lists_stay_as_they_are():
    """A list fused with itself, or with nothing, is that list."""
    lists = np.array([[3, 1, 2], [0, 2, 1]])
    for words in (lists, np.full((2, 3), -1)):
        np.testing.assert_array_equal(fused_lists(lists, words), lists)


@pytest.fixture(scope="module")
def hard():
    """The harder sample, whose queries seldom say the words of their answers."""
    return embed(read_corpus("sample:hard"))


def test_quality_is_of_the_fused_lists(hard):
    """Every width's values are those of its list fused with BM25's, best 100 of either; dense values stand beside."""
    dims = (32, 256)
    quality = evaluate(hard, dims=dims, task="retrieval", fusion_k=60)
    rows, grades, _ = read_judgements(hard.corpus.qrels, hard.corpus.ids, hard.corpus.query_ids)
    words = bm25_lists(hard.corpus.texts, [hard.corpus.query_texts[row] for row in rows])
    lists = neighbor_lists(hard.matrix, hard.queries[rows], dims, FUSION_DEPTH)
    fused = [[naive_fusion(pair, 100, 60) for pair in zip(level.tolist(), words.tolist())] for level in lists]
    expected = ranking_scores(np.array(fused), grades, ("ndcg@10",))["ndcg@10"].mean(axis=1)
    found = [one.value for one in quality.curves["hybrid ndcg@10"].value]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    dense = evaluate(hard, dims=dims, task="retrieval")
    assert {name: quality.curves[name].rows() for name in dense.curves} == {
        name: curve.rows() for name, curve in dense.curves.items()
    }
    alone = ranking_scores(words[None], grades, ("ndcg@10",))["ndcg@10"].mean()
    assert f"BM25, ndcg@10 is {alone:.3f}" in quality.notes[-1]
    below = ", ".join(str(dim) for dim, value in zip(dims, expected) if value < alone)
    assert quality.notes[-1].endswith(f", more than hybrid reaches at {below} dims." if below else f"{alone:.3f}.")
    assert dense.takeaway() in quality.takeaway() and quality.takeaway().startswith("hybrid ndcg@10")


def test_plans_are_judged_by_their_fused_lists(hard):
    """A plan's values are those of its list fused with BM25's, against the full width's fused list; costs stay."""
    quick = {"dims": [16, 64], "dtypes": ("float32",), "kinds": ("exact",), "n_runs": 1}
    measured = measure_candidates(hard, metric="ndcg@10", fusion_k=60, **quick)
    assert measured.metric == "hybrid ndcg@10" and measured.fusion_k == 60
    quality = evaluate(hard, dims=[16, 64], task="retrieval", fusion_k=60).curves["hybrid ndcg@10"]
    for plan, values in zip(measured.plans, measured.values[:, measured.ks.index(10)]):
        if not plan.rerank:
            assert values.mean() == pytest.approx(quality.value[quality.dims.index(plan.dim)].value, abs=1e-12)
    shortest = next(row for row, plan in enumerate(measured.plans) if plan.rerank and plan.rerank[0][0] < FUSION_DEPTH)
    assert 0 < measured.values[shortest].mean() <= 1
    dense = measure_candidates(hard, metric="ndcg@10", **quick)
    assert dense.plans == measured.plans and dense.fusion_k is None
    assert measured.full.mean() != dense.full.mean()


def test_overlap_of_fused_lists_without_queries():
    """Texts that search for each other are fused too, none with itself, and full width keeps all of its own list."""
    vectors = embed(read_corpus("sample:hard", limit=60), queries=())
    measured = measure_candidates(
        vectors, metric="overlap@5", dims=[8], dtypes=("float32",), kinds=("exact",), allow_rerank=False, n_runs=1,
        fusion_k=60,
    )  # fmt: skip
    hybrid = hybrid_of(vectors.corpus, np.arange(60), texts_ask=True)
    assert hybrid.words.shape == (60, 59) and not (hybrid.words == np.arange(60)[:, None]).any()
    lists = neighbor_lists(vectors.matrix, vectors.matrix, (8, 256), 59, own=np.arange(60))
    narrow, full = hybrid.fuse(lists, 5)
    shares = [len(set(one) & set(other)) / 5 for one, other in zip(narrow.tolist(), full.tolist())]
    np.testing.assert_allclose(measured.values[0, measured.ks.index(5)], shares)
    np.testing.assert_array_equal(measured.values[-1], 1)


def test_hybrid_needs_words_and_lists():
    """Vectors without texts, or without those of their queries, other tasks and odd constants are one sentence each."""
    rows = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    bare = with_queries(corpus_from_vectors(rows), corpus_from_vectors(rows[:4], unnamed="query"))
    judged = embed(corpus_from_texts(TEXTS, labels={"kind": list("aabbab")}))
    quick = {"dims": [4], "dtypes": ("float32",), "kinds": ("exact",), "n_runs": 1, "metric": "overlap@3"}
    with pytest.raises(InvalidInputError, match="holds vectors without `texts`"):
        measure_candidates(embed(bare), fusion_k=60, **quick)
    named = with_texts(bare, [f"text of {row}" for row in range(30)])
    with pytest.raises(InvalidInputError, match="holds vectors without `query_texts`"):
        measure_candidates(embed(named), fusion_k=60, **quick)
    asked = with_retrieval(corpus_from_texts(TEXTS), {"q": "cat"}, {"q": {"0": 1}}, {})
    with pytest.raises(InvalidInputError, match="`fusion_k` is 0; choose a whole number, 1 or more"):
        evaluate(embed(asked), dims=[8], fusion_k=0)
    with pytest.raises(InvalidInputError, match="`task` is 'classification', and hybrid"):
        evaluate(judged, dims=[8], fusion_k=60)
    with pytest.raises(InvalidInputError, match="`metric` is accuracy, and hybrid"):
        measure_candidates(judged, metric="accuracy", fusion_k=60)
    with pytest.raises(ShapeError, match="give one each a query"):
        fused_lists(np.zeros((2, 3), int), np.zeros((3, 3), int))
    with pytest.raises(InvalidInputError, match="`depth` is 0"):
        bm25_lists(TEXTS, ["cat"], depth=0)
