"""A fitted adaptor as an arrangement: known rows are left out, the command line fits and measures one."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mrl_viz.adaptor.adaptor import Adaptor
from mrl_viz.adaptor.fit import FEWEST_ROWS, fit_adaptor, suggested_settings
from mrl_viz.arrangements import row_keys
from mrl_viz.cli.explore import split_arrangements
from mrl_viz.cli.main import main
from mrl_viz.data.corpus import corpus_from_vectors
from mrl_viz.decide import recommend
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.figures import controls_curve
from mrl_viz.measures.controls import compare_arrangements
from mrl_viz.measures.estimate import columns
from mrl_viz.sweep import nested_sweep

RNG = np.random.default_rng(0)
ROWS = (RNG.normal(size=(300, 6)) @ RNG.normal(size=(6, 24)) + 0.3 * RNG.normal(size=(300, 24))).astype(np.float32)


def compare(corpus, queries=None, *, dims, k=10, **options):
    """The controls of vectors and the sweep of them."""
    return compare_arrangements(nested_sweep(corpus, queries, dims=dims, k=k), corpus, queries, **options)


@pytest.fixture(scope="module")
def fit():
    return fit_adaptor(ROWS, [4, 8], method="svd", model="toy")


def test_rows_are_known_again_at_any_scale_and_from_disk(fit, tmp_path):
    """Exactly the rows not held out are known, also rescaled, slightly disturbed, or by the adaptor read back."""
    known = fit.adaptor.arrangement()
    assert (~known.has_seen(ROWS)).sum() == fit.n_held_out
    loaded = Adaptor.load(fit.adaptor.save(tmp_path / "a"))
    again = loaded.arrangement()
    np.testing.assert_array_equal(again.has_seen(ROWS * 7), known.has_seen(ROWS))
    assert loaded.fingerprint == fit.adaptor.fingerprint
    assert (again.has_seen(ROWS * (1 + 1e-7)) == known.has_seen(ROWS)).mean() > 0.98
    assert not known.has_seen(RNG.normal(size=(50, 24))).any()
    assert len(np.unique(row_keys(ROWS))) == len(ROWS)


def test_a_learned_map_is_measured_on_rows_it_has_not_seen(fit):
    """Its line is the one of the fit's own held-out rows, with the prefix on those beside it, and a note says so."""
    controls = compare(ROWS, dims=[4, 8], arrangements=["prefix", fit.adaptor.arrangement()])
    curve = controls.curves["adaptor"]
    assert curve.n_items == fit.n_held_out == 60
    np.testing.assert_allclose(
        columns(curve.overlap)[0], [estimate.value for estimate in fit.quality("adaptor").overlap], atol=1e-12
    )
    np.testing.assert_allclose(
        curve.prefix_overlap, [estimate.value for estimate in fit.quality("prefix").overlap], atol=1e-12
    )
    assert any("fitted on 240 of these 300 texts and is measured on the other 60" in note for note in controls.notes)
    assert "adaptor" in [trace.name for trace in controls_curve(controls).data]


def test_rows_all_seen_are_measured_with_a_warning(fit):
    """Where too few unseen rows are left, the line is of seen rows and a note says that it flatters."""
    seen = ROWS[fit.adaptor.arrangement().has_seen(ROWS)]
    controls = compare(seen, dims=[4], arrangements=["prefix", fit.adaptor.arrangement()])
    assert controls.curves["adaptor"].n_items == len(seen)
    assert any("flatters" in note for note in controls.notes)


def test_overlap_is_with_the_original_neighbors_at_full_width_too():
    """A map that changes the full width is not compared with itself: at the full width it scores below 1."""
    squeeze = Adaptor("paper", 24, (4,), None, np.diag(np.linspace(0.01, 3, 24)).astype(np.float32))
    controls = compare(ROWS, dims=[4], arrangements=["prefix", squeeze.arrangement("mine")])
    assert controls.curves["mine"].overlap[-1].value < 0.9
    assert controls.curves["prefix"].overlap[-1].value == 1


def test_choose_takes_an_arrangement(fit):
    """Texts and queries go through one map: a plan is chosen for the arranged vectors, of fewer dims than raw."""
    # What tells rows apart stands at the end, where no prefix finds it.
    rows = np.hstack([0.1 * RNG.normal(size=(300, 20)), RNG.normal(size=(300, 4))]).astype(np.float32)
    raw = embed(corpus_from_vectors(rows))
    arrangement = fit_adaptor(rows, [4, 8], method="svd").adaptor.arrangement()
    asked = replace(raw, queries=rows[:20]).arranged(arrangement)
    np.testing.assert_allclose(asked.queries, asked.matrix[:20], atol=1e-6)
    assert asked.model == "vectors (adaptor)" and asked.fingerprint != raw.fingerprint
    chosen = [
        recommend(embedded, target=0.8, metric="overlap@10", dims=[4, 8, 16], dtypes=("float32",), allow_rerank=False)
        for embedded in (raw, raw.arranged(arrangement))
    ]
    assert chosen[1].plan.dim <= 8 < 16 <= chosen[0].plan.dim
    with pytest.raises(ShapeError, match="`adaptor` arrangement 24"):
        embed(corpus_from_vectors(rows[:, :8])).arranged(arrangement)


def test_suggested_settings_follow_the_rows():
    """Small corpora get the smaller batch, which they can fill; fewer rows than that are refused in one sentence."""
    assert [suggested_settings(n).batch_size for n in (FEWEST_ROWS, 365, 366, 9999)] == [128, 128, 256, 256]
    for n in (FEWEST_ROWS, 366):
        fit_adaptor(RNG.normal(size=(n, 8)), [4], settings=suggested_settings(n, "svd"), method="svd")
    with pytest.raises(EmptyInputError, match="199 rows; an adaptor needs at least 200"):
        suggested_settings(199)


def test_split_arrangements_keeps_the_case_of_folders():
    """Folders are taken as written; an adaptor without one is refused."""
    assert split_arrangements("prefix, SVD,adaptor:/a/B,Adaptor:c") == (["prefix", "SVD"], ["/a/B", "c"])
    for text in ("prefix,adaptor", "adaptor:"):
        with pytest.raises(InvalidInputError, match="adaptor:FOLDER"):
            split_arrangements(text)


def test_adapt_then_sweep_on_the_command_line(tmp_path, capsys):
    """`adapt` on ready vectors writes an adaptor with its card and data; `sweep` measures it on the rows held out."""
    np.save(tmp_path / "rows.npy", ROWS)
    folder, out = tmp_path / "adaptor", tmp_path / "fit.json"
    source = str(tmp_path / "rows.npy")
    assert main(["adapt", source, "--dims", "4,8", "--method", "paper", "--out", str(folder), "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    data = json.loads(out.read_text())
    assert data["schema"] == 1 and data["method"] == "paper" and data["model"] is None
    assert "against SVD" in printed and "On held-out data" in printed
    assert {path.name for path in folder.iterdir()} == {"adaptor.safetensors", "config.json", "README.md"}
    assert (
        main(
            [
                "sweep",
                source,
                "--dims",
                "4,8",
                "--k",
                "10",
                "--arrangements",
                f"prefix,adaptor:{folder}",
                "--json",
                str(out),
            ]
        )
        == 0
    )
    swept = json.loads(out.read_text())
    expected = [row["overlap"] for row in data["rows"] if row["map"] == "adaptor"]
    np.testing.assert_allclose([row["overlap"] for row in swept["arrangements"]["adaptor"]], expected, atol=1e-12)
    assert "measured on the other 60" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["adapt", "{few}", "--out", "{out}"], "50 rows; an adaptor needs at least 200"),
        (["adapt", "{rows}", "--dims", "8,24", "--out", "{out}"], "not below the width"),
        (["adapt", "{rows}", "--dims", "8", "--supervised", "--out", "{out}"], "no relevance judgements"),
        (["adapt", "{rows}", "--dims", "8", "--method", "search", "--out", "{out}"], "no relevance judgements"),
        (["adapt", "{rows}", "--dims", "8", "--method", "svd", "--out", "{home}"], "holds other files"),
        (
            ["adapt", "{rows}", "--dims", "8", "--method", "svd", "--out", "{out}", "--model-out", "{out}2"],
            "holds ready vectors",
        ),
        (["sweep", "{rows}", "--arrangements", "prefix,adaptor"], "adaptor:FOLDER"),
        (["sweep", "{rows}", "--arrangements", "adaptor:{home}"], "no config.json"),
        (["sweep", "{wide}", "--arrangements", "adaptor:{fitted}"], "fitted on 24"),
    ],
)  # fmt: skip
def test_bad_adaptor_arguments_are_one_line_and_code_2(arguments, message, fit, tmp_path, capsys):
    """Too few rows, a width too many, no judgements, a foreign folder, another width: one sentence on stderr."""
    np.save(tmp_path / "rows.npy", ROWS)
    np.save(tmp_path / "few.npy", ROWS[:50])
    np.save(tmp_path / "wide.npy", np.hstack([ROWS, ROWS]))
    names = {name: str(tmp_path / f"{name}.npy") for name in ("rows", "few", "wide")}
    names |= {"out": str(tmp_path / "out"), "home": str(tmp_path), "fitted": str(fit.adaptor.save(tmp_path / "fitted"))}
    assert main([argument.format(**names) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_a_learnt_order_is_a_line_on_the_command_line(tmp_path, capsys):
    """`importance` learns an order from three quarters of the texts and is measured on the rest, beside the prefix."""
    np.save(
        tmp_path / "rows.npy",
        np.hstack([RNG.normal(size=(400, 8)) * 0.05, RNG.normal(size=(400, 8))]).astype(np.float32),
    )
    out = tmp_path / "out.json"
    arguments = [
        "sweep",
        str(tmp_path / "rows.npy"),
        "--dims",
        "4,8",
        "--arrangements",
        "prefix,importance",
        "--json",
        str(out),
    ]
    assert main(arguments) == 0
    line = json.loads(out.read_text())["arrangements"]["importance"]
    assert "importance was fitted on 300 of these 400 texts and is measured on the other 100" in capsys.readouterr().out
    # The second half of these coordinates carries the neighbors.
    assert line[1]["overlap"] > 0.8 > 0.3 > json.loads(out.read_text())["arrangements"]["prefix"][1]["overlap"]
