"""Controls of rows on a disk: the curves of `compare_arrangements`, from one reading of blocks."""

import json

import numpy as np
import pytest

from mrl_viz.arrangements import fitted_arrangement
from mrl_viz.cli.main import main
from mrl_viz.errors import InvalidInputError, MrlVizError
from mrl_viz.measures.controls import compare_arrangements
from mrl_viz.measures.estimate import columns
from mrl_viz.measures.lists import neighbor_lists, shared_share
from mrl_viz.measures.sample import pair_sample
from mrl_viz.measures.similarity import similarity_drift
from mrl_viz.scale import controls
from mrl_viz.scale.controls import control_rows, sampled_drift
from mrl_viz.scale.rows import open_rows
from mrl_viz.scale.streaming import given_queries, sampled_queries, stream_sweep
from mrl_viz.sweep import nested_sweep
from mrl_viz.sweep.fused import BLOCK

N_ROWS, FULL_DIM, DIMS, K = BLOCK + 900, 12, (3, 6), 5


@pytest.fixture(scope="module")
def matrix():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(N_ROWS, FULL_DIM)) * np.arange(1, FULL_DIM + 1) ** -0.8
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def rows(matrix, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "vectors.npy"
    np.save(path, matrix)
    return open_rows(path)


def values(curve):
    return columns(curve.overlap)[0]


def test_curves_are_those_of_memory(rows, matrix):
    """Prefix, random draws, suffix and the verdict to the last digit, for queries of their own."""
    asked = (matrix[:150] + np.random.default_rng(1).normal(0, 0.05, (150, FULL_DIM))).astype(np.float32)
    names = ("prefix", "random", "suffix")
    sweep, found = control_rows(
        rows, given_queries(asked, rows), dims=DIMS, k=K, arrangements=names, seed=2, block_bytes=1
    )
    in_memory = nested_sweep(matrix, asked, dims=DIMS, k=K)
    expected = compare_arrangements(in_memory, matrix, asked, arrangements=names, seed=2)
    np.testing.assert_array_equal(sweep.indices, in_memory.indices)
    assert list(found.curves) == list(expected.curves)
    for name in names:
        np.testing.assert_allclose(values(found.curves[name]), values(expected.curves[name]), atol=1e-3)
        assert found.curves[name].n_items == N_ROWS
    np.testing.assert_allclose(found.curves["random"].sd, expected.curves["random"].sd, atol=1e-3)
    assert found.nestedness.verdict == expected.nestedness.verdict == "trained Matryoshka"
    gaps, others = ([gap.low for gap in each.nestedness.gap] for each in (found, expected))
    np.testing.assert_allclose(gaps, others, atol=2e-3)


def test_what_is_fitted_is_measured_on_other_rows(rows, matrix):
    """SVD and tempered against the same in memory on the rows that are left; no query is fitted on."""
    queries = sampled_queries(rows, 60, seed=4)
    _, found = control_rows(
        rows, queries, dims=DIMS, k=K, arrangements=["svd", "tempered:0.5"], fit_rows=700, seed=5, block_bytes=1
    )
    fit = controls._fit_items(rows, queries, 700, 5)
    assert len(fit) == 700 and not np.isin(queries.own, fit).any()
    left = np.setdiff1d(np.arange(N_ROWS), fit)
    own = np.searchsorted(left, queries.own)
    dims = (*DIMS, FULL_DIM)
    truth = neighbor_lists(matrix[left], matrix[queries.own], dims, K, own=own)
    for name in ("svd", "tempered:0.5"):
        turn = fitted_arrangement(name, matrix[fit])
        lists = neighbor_lists(turn.apply(matrix[left]), turn.apply(matrix[queries.own]), dims, K, own=own)
        kept = shared_share(lists, lists[-1] if name == "svd" else truth[-1]).mean(axis=1)
        np.testing.assert_allclose(values(found.curves[name]), kept, atol=1e-3)
        np.testing.assert_allclose(
            found.curves[name].prefix_overlap, shared_share(truth, truth[-1]).mean(axis=1), atol=1e-3
        )
        assert found.curves[name].n_items == N_ROWS - 700
    assert "fitted on 700 rows drawn at random (seed 5), none of them a query" in " ".join(found.notes)
    assert any("tempered:0.5 changes cosine itself" in note for note in found.notes)
    assert found.is_self and found.nestedness is None


def test_the_prefix_is_that_of_the_plain_sweep(rows):
    """Beside others its lists are the same; too few rows to fit on leave the SVD out, with a note."""
    queries = sampled_queries(rows, 30)
    sweep, found = control_rows(rows, queries, dims=DIMS, k=K, arrangements=["svd"], fit_rows=FULL_DIM - 1)
    np.testing.assert_array_equal(sweep.indices, stream_sweep(rows, queries, dims=DIMS, k=K).indices)
    assert list(found.curves) == ["prefix"] and "No SVD line" in found.notes[0]


def test_drift_is_of_a_sample_without_the_queries(rows, matrix):
    """`similarity_drift` of the very rows drawn."""
    queries = sampled_queries(rows, 25, seed=1)
    found = sampled_drift(rows, queries, dims=DIMS, seed=3)
    items = controls._other_items(rows, queries, 1000, 3)
    assert not np.isin(items, queries.own).any() and found.n_columns == 1000
    assert found == similarity_drift(pair_sample(matrix[items], queries.matrix, dims=DIMS, seed=3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arrangements": ["best"]}, "choose from prefix"),
        ({"k": N_ROWS}, "possible neighbors"),
        ({"fit_rows": 0}, "fit_rows"),
        ({"n_draws": 2, "arrangements": ["random"]}, "choose 10 or more"),
    ],
)
def test_what_cannot_be_controlled_is_said(rows, options, message):
    """One sentence each."""
    with pytest.raises(MrlVizError, match=message):
        control_rows(rows, sampled_queries(rows, 5), **({"dims": DIMS} | options))


def test_the_command_prints_controls(rows, tmp_path, capsys):
    """Every arrangement's line, drift and verdict; what needs all vectors or one process is refused."""
    command = ["sweep", rows.name, "--sample-queries", "40", "--dims", "3,6", "--arrangements"]
    assert main([*command, "prefix,random,suffix,svd", "--json", str(tmp_path / "f.json")]) == 0
    said = capsys.readouterr().out
    assert "Spearman" in said and "svd" in said and "none of them a query" in said
    found = json.loads((tmp_path / "f.json").read_text())
    assert list(found["arrangements"]) == ["prefix", "random", "suffix", "svd"]
    assert found["n_rows"] == N_ROWS and found["verdict"] and found["drift"]["n_columns"] == 1000
    for more, message in (
        (["importance"], "need all vectors in memory"),
        (["random", "--cluster", "local:1"], "are read by one process"),
    ):
        assert main([*command, *more]) == 2
        assert message in capsys.readouterr().err


def test_a_learnt_map_is_refused(rows):
    """It would have to say which rows it has seen."""
    with pytest.raises(InvalidInputError, match="rows on a disk take names only"):
        control_rows(
            rows, sampled_queries(rows, 5), dims=DIMS,
            arrangements=["prefix", fitted_arrangement("svd", rows.read(0, 100))],
        )  # fmt: skip
