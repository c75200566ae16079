"""The history of a deployed plan: what `monitor --json` wrote, read back, and what it says by rule."""

import json
import os

import numpy as np
import pytest

from mrl_viz import figures
from mrl_viz.cli.main import main
from mrl_viz.decide.canary import check_canaries
from mrl_viz.decide.history import MOST_BYTES, check_record, read_history, shipped_history
from mrl_viz.decide.monitoring import check_deployed_plan
from mrl_viz.errors import InvalidInputError
from mrl_viz.retrieval.plan import Plan


@pytest.fixture(scope="module")
def record():
    """A real check of random vectors, with canaries that did not move."""
    rows = np.random.default_rng(0).normal(size=(60, 16)).astype(np.float32)
    found = check_deployed_plan(rows, Plan(8, "int8"), target=0.3, k=5, seed=0, measured_at="2026-05-04T06:00:00+00:00")
    canary = check_canaries(rows[:4], rows[:4], rows, dim=8, k=5)
    return json.loads(json.dumps(check_record(found, canary), allow_nan=False))


def checks(record, *changes):
    """Files of a check a week, each changed."""
    files = []
    for week, change in enumerate(changes):
        data = record | {"measured_at": f"2026-05-{4 + 7 * week:02d}T06:00:00+00:00", "fingerprint": str(week)} | change
        files.append((f"{week}.json", json.dumps(data).encode()))
    return files


def kept(value, half=0.01):
    return {"overlap": value, "low": value - half, "high": value + half}


def moved(record, *rows):
    """Canaries of which some moved."""
    change = [0.2 if row in rows else 0.0 for row in range(4)]
    return {"canary": record["canary"] | {"change": change, "moved": list(rows)}}


def test_what_was_written_is_read_back(record, tmp_path):
    """Every number of the record, whatever order the files come in; the same check twice counts once."""
    late = record | {"measured_at": "2026-06-01T08:00:00+02:00"}
    for name, data in (("b", late), ("a", record), ("again", record)):
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
    history = read_history(sorted(tmp_path.glob("*.json"), reverse=True))
    assert not history.refused and len(history.checks) == 2 and not history.mixed
    first, second = history.checks
    assert first.plan == Plan(8, "int8") and first.target == 0.3 and first.k == 5 and first.n_items == 60
    assert (first.overlap.value, first.overlap.low, first.overlap.high) == tuple(
        record[name] for name in ("overlap", "low", "high")
    )
    assert first.canary.change == tuple(record["canary"]["change"]) and first.canary.tolerance == 1e-3
    assert second.measured_at.isoformat() == "2026-06-01T06:00:00+00:00" and second.day == "2026-06-01"
    assert history.rows()[0]["file"] == "b.json" and history.rows()[1]["moved"] == 0
    json.dumps(history.to_dict(), allow_nan=False)


def test_the_command_writes_what_is_read(tmp_path):
    """`monitor --json` writes a dated check with its model and data; nothing that stood there is gone."""
    out = tmp_path / "check.json"
    assert main(["monitor", "sample", "--plan", "64", "--target", "0.3", "--seed", "0", "--json", str(out)]) == 0
    data = json.loads(out.read_text())
    assert data["schema"] == 1 and data["kind"] == "mrl_viz monitor check" and data["model"] == "wordllama"
    assert {"plan", "full_dim", "k", "target", "n_queries", "n_items", "seed", "is_below_target", "is_certain"} < set(
        data
    )
    (check,) = read_history([str(out)]).checks
    assert check.label == "64 dims float32 exact, overlap@10, wordllama" and check.canary is None
    assert check.fingerprint == data["fingerprint"] and check.measured_at.isoformat() == data["measured_at"]


def test_the_data_that_were_asked_are_told_apart():
    """Queries given apart are part of a check's fingerprint; bare vectors have none."""
    from mrl_viz.embedding.embedded import embed

    vectors = embed([f"text {word}" for word in ("one", "two", "three", "four")])
    asked = [check_deployed_plan(vectors, 64, rows, target=0.5, k=2, seed=0) for rows in (None, vectors.matrix[:3])]
    assert asked[0].fingerprint == vectors.fingerprint != asked[1].fingerprint
    assert check_deployed_plan(vectors.matrix, 64, target=0.5, k=2, seed=0).fingerprint == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "`x.json` is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[1]", "is no check of a deployed plan"),
        (b'{"schema": 2, "kind": "mrl_viz decision record"}', "is no check of a deployed plan"),
        (b" " * (MOST_BYTES + 1), "is larger than 1 MB"),
        ({"measured_at": None}, "has no date"),
        ({"schema": 7}, "has schema 7 and this version reads 1"),
        ({"measured_at": "yesterday"}, "is damaged"),
        ({"measured_at": "0001-01-01T00:00:00+10:00"}, "is damaged"),
        ({"plan": {"dim": 0}}, "makes no plan"),
        ({"plan": None}, "is damaged"),
        ({"overlap": 1.5}, "`overlap` is 1.5, which is not from 0 to 1"),
        ({"overlap": "much"}, "`overlap` is no number"),
        ({"overlap": float("nan")}, "`overlap` is nan"),
        ({"low": 0.99, "high": 0.995, "overlap": 0.5}, "is not between"),
        ({"target": None}, "`target` is no number"),
        ({"k": "ten"}, "`k` is no number"),
        ({"canary": "gone"}, "`canary` is not what"),
        ({"canary": {"change": [], "moved": []}}, "canaries that are not there"),
        ({"canary": {"change": [0.1], "moved": [3]}}, "canaries that are not there"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_read_is_named_and_the_rest_is_kept(record, content, reason):
    """Broken, foreign, undated and damaged files have a sentence each; the others make the history."""
    broken = content if isinstance(content, bytes) else json.dumps(record | content).encode()
    history = read_history([("good.json", json.dumps(record).encode()), ("x.json", broken)])
    (sentence,) = history.refused
    assert sentence.startswith("`x.json` ") and reason in sentence and "\n" not in sentence
    assert [check.file for check in history.checks] == ["good.json"]


def test_files_that_are_not_there_and_missing_fields(record, tmp_path):
    """A path that leads nowhere, a folder called like a file, and a record without its number of queries."""
    (tmp_path / "folder.json").mkdir()
    short = {name: value for name, value in record.items() if name != "n_queries"}
    history = read_history(
        [tmp_path / "gone.json", tmp_path / "folder.json", ("short.json", json.dumps(short).encode())]
    )
    assert [sentence.split("`")[1] for sentence in history.refused] == ["gone.json", "folder.json", "short.json"]
    assert os.strerror(2) in history.refused[0] and "`n_queries` is missing" in history.refused[2]
    assert history.takeaway() == "No check could be read." and history.labels == () and history.latest is history


def test_mixed_plans_models_and_targets_are_said(record):
    """Checks of different things are told apart, the latest one's first, and a target that changed is dated."""
    files = checks(record, {}, {"plan": {"dim": 4}}, {"model": "other"}, {"model": "other", "target": 0.5})
    history = read_history(files)
    assert history.labels[0] == "8 dims int8 exact, overlap@5, other" and len(history.labels) == 3
    said = " ".join(history.mixed)
    assert "of 3 different things" in said and "8 dims int8 exact, overlap@5, other (2)" in said
    assert "the target went from 30 % to 50 % on 2026-05-25" in said
    assert [check.file for check in history.only("4 dims float32 exact, overlap@5").checks] == ["1.json"]
    assert len(history.latest.checks) == 2 and "of 2 checks" in history.takeaway()
    with pytest.raises(InvalidInputError, match="`label` is 'nothing'"):
        history.only("nothing")


@pytest.mark.parametrize(
    ("weeks", "expected"),
    [
        ([(0.4,), (0.4,), (0.4,)], "Held in all of 3 checks."),
        ([(0.4,), (0.29,)], "Held in 1 of 2 checks; the last is below the target, but its interval reaches across it"),
        ([(0.4,), (0.2, 1, 3), (0.2, 1, 3)],
         "Held in 1 of 3 checks; since 2026-05-11 the interval lies below the target of 30 %, together with 2 of 4 "
         "canaries moving, so look at the model’s revision, prompt or runtime."),
        ([(0.4,), (0.4, 1), (0.2, 1)], "and 1 of 4 canaries have moved since 2026-05-11, so look at the model’s"),
        ([(0.4,), (0.2,)], "below the target of 30 %, and no canary moved, so texts or queries are others and not"),
        ([(0.4,), (0.4, 2)], "; but 1 of 4 canaries have moved since 2026-05-11: vectors of two models do"),
        ([(0.4,), (0.29, 2)], "sample more queries to be sure; but 1 of 4 canaries have moved since 2026-05-11"),
        ([(0.2,), (0.4,)], "Held in 1 of 2 checks. Surely below before, on 2026-05-04, and no canary moved"),
        ([(0.2,)], "Not held in the only check; since 2026-05-04"),
    ],
)  # fmt: skip
def test_what_a_history_says_follows_from_its_checks(record, weeks, expected):
    """How many held, since when it is surely below, and whether canaries moved then, before or not at all."""
    changes = [kept(value, 0.02) | moved(record, *rows) for value, *rows in weeks]
    assert expected in read_history(checks(record, *changes)).takeaway()


def test_without_canaries_or_with_the_same_data_the_cause_is_another(record):
    """A fall without canaries cannot be explained; one with the very data of a check that held is the sample's."""
    bare = {name: value for name, value in record.items() if name != "canary"}
    history = read_history(checks(bare, kept(0.4), kept(0.2)))
    assert "and no canaries were asked" in history.takeaway() and "No canaries were asked" in history.canary_takeaway()
    assert not figures.monitor_canaries(history).data[0].x
    same = {"fingerprint": "same"}
    history = read_history(checks(record, kept(0.4) | same, kept(0.2) | same))
    assert "the data are those of 2026-05-04, so it is the sample of queries" in history.takeaway()


def test_the_figures_show_every_check_and_every_canary(record):
    """Held and below are other marks with their intervals; canaries that moved stand apart, the others too."""
    changes = [kept(0.4), kept(0.28, 0.05), kept(0.2) | moved(record, 2), kept(0.1) | moved(record, 2, 3)]
    history = read_history(checks(record, *changes))
    drawn = {trace.name: trace for trace in figures.monitor_overlap(history).data if trace.name}
    assert list(drawn["held"].y) == [0.4] and list(drawn["below target"].y) == [0.28, 0.2, 0.1]
    assert drawn["held"].marker.symbol != drawn["below target"].marker.symbol
    np.testing.assert_allclose(drawn["below target"].error_y.array, [0.05, 0.01, 0.01])
    assert list(drawn["target"].y) == [0.3] * 4 and drawn["held"].x[0] == "2026-05-04T06:00:00"
    drawn = {trace.name: trace for trace in figures.monitor_canaries(history).data}
    assert list(drawn["moved"].customdata) == [2, 2, 3] and len(drawn["as it was"].x) == 13
    assert list(drawn["tolerance"].y) == [1e-3] * 4
    assert history.canary_rows() == [
        {"canary": 2, "first moved": "2026-05-18", "checks moved": 2, "largest change": 0.2,
         "change at the last look": 0.2},
        {"canary": 3, "first moved": "2026-05-25", "checks moved": 1, "largest change": 0.2,
         "change at the last look": 0.2},
    ]  # fmt: skip
    assert "2 of 4 canaries have moved since 2026-05-18, row 2 furthest" in history.canary_takeaway()


def test_the_example_falls_for_both_reasons():
    """The shipped history has a fall with canaries that moved and one without, and nothing in it is refused."""
    history = shipped_history()
    assert len(history.checks) == 8 and not history.refused and len(history.labels) == 1
    said = history.takeaway()
    assert said.startswith("Held in 5 of 8 checks; since 2026-10-19") and "12 of 12 canaries moving" in said
    assert "on 2026-09-28, and no canary moved" in said
