"""The sample is clear to both models at full width, where it was judged while it was written."""

import numpy as np
import pytest

from benchmarks.bench_sample import LANGUAGE_DIMS, language_table
from mrl_viz.data.reading import read_corpus
from mrl_viz.data.samples import sample_data_folder
from mrl_viz.embedding.embedded import embed
from mrl_viz.measures.lists import knn_correct
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.classes import N_NEIGHBORS, classes_from_labels
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.tasks.languages import by_language
from mrl_viz.truncation import normalize

# model: least leave-one-out accuracy of domains and of topics, least nDCG@10
BARS = {"wordllama": (0.85, 0.60, 0.55), "all-MiniLM-L6-v2": (0.95, 0.80, 0.70)}
NEAR_DUPLICATE = 0.95


@pytest.mark.parametrize("model", BARS)
def test_the_sample_is_clear_at_full_width(model):
    """Neighbors have the text's domain and topic, queries find their answers, and no two texts say the same."""
    vectors = embed(read_corpus("sample"), model)
    sweep = nested_sweep(vectors.matrix, dims=[vectors.full_dim], k=N_NEIGHBORS)
    measured = []
    for labels in vectors.corpus.labels.values():
        classes = classes_from_labels(labels)
        measured.append(knn_correct(sweep.indices[-1], classes.codes, classes.codes).mean())
    measured.append(evaluate(vectors, dims=[vectors.full_dim], task="retrieval").curves["ndcg@10"].value[-1].value)
    assert list(vectors.corpus.labels) == ["domain", "topic"]
    assert all(value >= least for value, least in zip(measured, BARS[model])), measured
    cosines = normalize(vectors.matrix) @ normalize(vectors.matrix).T
    assert (cosines[np.triu_indices(len(cosines), 1)] > NEAR_DUPLICATE).mean() <= 0.01


def test_the_readme_says_what_each_width_keeps_in_each_language():
    """Its table of the sample with languages is what the script prints that it names."""
    found = by_language(embed(read_corpus("sample:languages")), dims=LANGUAGE_DIMS)
    assert "\n".join(language_table(found)) in (sample_data_folder() / "README.md").read_text(encoding="utf-8")


def test_the_hard_sample_is_hard():
    """The default model leaves room at full width: nDCG@10 below the sample's bar."""
    vectors = embed(read_corpus("sample:hard"))
    ndcg = evaluate(vectors, dims=[vectors.full_dim], task="retrieval").curves["ndcg@10"].value[-1].value
    assert ndcg < BARS["wordllama"][2]
