"""The verbs recommend, search and monitor on real files."""

import json
import re
from pathlib import Path

import pytest

from mrl_viz.cli.main import main

QUICK = ["--dims", "64", "--dtypes", "float32,int8", "--smallest", "total"]


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    """What `recommend` wrote for the sample: data and record."""
    folder = tmp_path_factory.mktemp("decided")
    files = {name: str(folder / f"{name}.json") for name in ("data", "record")}
    code = main(
        ["recommend", "sample", "--target", "0.85", *QUICK, "--n-vectors", "10e6", "--price-per-gb", "2",
         "--json", files["data"], "--record", files["record"]]
    )  # fmt: skip
    assert code == 0
    return files


def test_recommend_writes_data_and_record(decided, tmp_path, capsys):
    """The data hold every plan, the record the decision; Markdown goes by the ending; a sentence says the same."""
    data, record = (json.loads(Path(decided[name]).read_text(encoding="utf-8")) for name in ("data", "record"))
    assert data["schema"] == 2 and data["n_vectors"] == 10_000_000 and data["chosen"]["dtype"] == "int8"
    assert record["plan"] == {
        "dim": 256, "dtype": "int8", "kind": "exact", "rerank": [],
        "memory_bytes_per_vector": 256, "disk_bytes_per_vector": 0,
    }  # fmt: skip
    threshold = record["evidence"]["threshold"]
    assert threshold["false_positive_rate"] == 0.01 and threshold["threshold_low"] < threshold["threshold"]
    assert len([row["threshold"] for row in record["runners_up"] if row["threshold"]]) == len(record["runners_up"])
    assert record["decision"] == data["takeaway"] and record["storage"]["monthly_price"] == pytest.approx(2 * 2.56)
    out = tmp_path / "decision.md"
    assert main(["recommend", "sample", "--target", "0.85", *QUICK, "--record", str(out), "--no-corpus-size"]) == 0
    assert out.read_text(encoding="utf-8").startswith("# Decision: 256 dims int8 exact")
    out = capsys.readouterr().out
    assert "256 dims int8 exact keeps" in out and "256 dims int8 exact: keeping results from 0." in out


def test_recommend_says_what_binds(capsys):
    """A budget that nothing meets is no error: the sentence names it and the nearest plan."""
    assert main(["recommend", "sample", "--target", "0.85", *QUICK, "--n-vectors", "10e6", "--memory-gb", "0.001"]) == 0
    out = capsys.readouterr().out
    assert "What binds: memory." in out
    # What is reranked is no memory, so the nearest plan is the one that scans least; of several the one faster here.
    nearest = r"Nearest: 64 dims int8 exact, (50|200) reranked at 256, with 0\.64 GB in memory, 10\.2 GB on disk"
    assert re.search(nearest, out)


def test_recommend_counts_memory_first_and_disk_apart(tmp_path, capsys):
    """Without another wish a plan that reranks from disk is smaller than one that holds more in memory."""
    out = tmp_path / "decision.json"
    asked = ["recommend", "sample", "--target", "0.85", *QUICK[:-2], "--n-vectors", "10e6", "--no-corpus-size"]
    assert main([*asked, "--memory-gb", "1", "--json", str(out)]) == 0
    data = json.loads(out.read_text(encoding="utf-8"))
    chosen = data["chosen"]
    assert data["smallest"] == "memory" and data["budgets"] == {"memory_gb": 1.0}
    assert (chosen["memory_bytes_per_vector"], chosen["disk_bytes_per_vector"]) == (64, 1024)
    assert (chosen["memory_gb"], chosen["disk_gb"]) == (0.64, 10.24) and chosen["rerank"]
    assert "10,000,000 vectors take 640.0 MB in memory and 10.24 GB on disk" in capsys.readouterr().out
    assert main([*asked, "--memory-gb", "1", "--disk-gb", "1"]) == 0
    assert "What binds: memory and disk." in capsys.readouterr().out


def test_a_record_of_the_schema_before_is_searched_and_monitored_with(decided, tmp_path, capsys):
    """A record from before memory and disk were told apart is read, and a note says what it counts otherwise."""
    record = json.loads(Path(decided["record"]).read_text(encoding="utf-8"))
    record["schema"], old = 1, tmp_path / "old.json"
    record["plan"] = {name: record["plan"][name] for name in ("dim", "dtype", "kind", "rerank")}
    old.write_text(json.dumps(record), encoding="utf-8")
    assert main(["search", "sample", "--query", "holes in Swiss cheese", "--plan", str(old)]) == 0
    assert "note: This record is from before memory and disk were told apart" in capsys.readouterr().out
    assert main(["monitor", "sample", "--plan", str(old)]) == 0
    assert "note: This record is from before memory and disk were told apart" in capsys.readouterr().out
    old.write_text(json.dumps(record | {"schema": 9}), encoding="utf-8")
    assert main(["monitor", "sample", "--plan", str(old)]) == 2
    assert "has schema 9 and this version reads 1 to 2" in capsys.readouterr().err


def test_search_finds_by_plan(decided, tmp_path, capsys):
    """A query finds its texts at full width, by a typed plan, and by the record of these data."""
    out = tmp_path / "found.json"
    for plan in ([], ["--plan", "64,int8,100@256"], ["--plan", decided["record"]], ["--plan", decided["data"]]):
        assert (
            main(["search", "sample", "--query", "holes in Swiss cheese", "--k", "3", "--json", str(out), *plan]) == 0
        )
        data = json.loads(out.read_text())
        assert len(data["results"]) == 3 and any(row["id"].startswith("food-cheese") for row in data["results"])
    assert "256 dims int8 exact" in capsys.readouterr().out


def test_a_terminal_is_not_obeyed(tmp_path, capsys):
    """Control characters of a text are shown, not sent."""
    (tmp_path / "texts.txt").write_text("a cat \x1b[2J on a sofa\na dog on a lawn\n", encoding="utf-8")
    assert main(["search", str(tmp_path / "texts.txt"), "--query", "a cat", "--k", "1"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_monitor_exit_codes(decided, tmp_path, capsys):
    """0 at the target, 1 below it; the record's target is the default; both are one line on stdout."""
    out = tmp_path / "watch.json"
    assert main(["monitor", "sample", "--plan", decided["record"], "--json", str(out)]) == 0
    assert json.loads(out.read_text())["target"] == 0.85
    assert main(["monitor", "sample", "--plan", "64", "--target", "0.9", "--seed", "1"]) == 1
    printed = capsys.readouterr()
    assert printed.err == "" and printed.out.count("\n") == 2 and "below the target of 90%" in printed.out


def test_monitor_takes_fresh_queries_and_grown_data(decided, tmp_path):
    """Yesterday's queries in a file and more texts than were decided on are what monitoring is for."""
    (tmp_path / "queries.txt").write_text("how do cheeses get holes\nwhat is a telescope\n", encoding="utf-8")
    (tmp_path / "texts.txt").write_text("\n".join(f"text number {n} about cheese" for n in range(40)), encoding="utf-8")
    code = main(
        [
            "monitor",
            str(tmp_path / "texts.txt"),
            "--plan",
            decided["record"],
            "--queries",
            str(tmp_path / "queries.txt"),
            "--k",
            "3",
            "--target",
            "0.5",
        ]
    )
    assert code in (0, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recommend", "sample", "--target", "95"], "`target` is 95"),
        (["recommend", "sample", "--threshold-rate", "0.5"], "`--threshold-rate` is 0.5"),
        (["recommend", "sample", "--metric", "f1"], "`metric` is 'f1'"),
        (["recommend", "sample", "--dtypes", "int5"], "`dtypes` is"),
        (["recommend", "sample", "--memory-gb", "0"], "`memory_gb` is 0"),
        (["recommend", "sample", "--disk-gb", "0"], "`disk_gb` is 0; to do without"),
        (["recommend", "sample", "--disk-gb", "-1"], "`disk_gb` is -1"),
        (["recommend", "sample", "--smallest", "disk"], "`smallest` is 'disk'; choose one of ['memory', 'total']"),
        (["recommend", "sample", "--record", "out.txt"], "ends in .json or .md"),
        (["recommend", "sample", "--dims", "999"], "choose 1 to 256"),
        (["recommend", "no-such-file.txt"], "no-such-file"),
        (["search", "sample", "--query", " "], "`--query` is empty"),
        (["search", "sample", "--query", "a", "--plan", "64,5@256"], "reranks only 5"),
        (["search", "sample", "--query", "a", "--plan", "wide"], "`plan` is 'wide'"),
        (["search", "sample", "--query", "a", "--plan", "no-such-plan.json"], "no-such-plan.json"),
        (["search", "sample", "--query", "a", "--k", "1281"], "`k` is 1281"),
        (["monitor", "sample", "--plan", "512"], "choose 1 to 256"),
        (["monitor", "sample", "--plan", "64", "--sample", "0"], "`n_queries` is 0"),
    ],
)
def test_bad_input_is_one_line_and_code_2(capsys, arguments, message):
    """What cannot be is one sentence on stderr, which cron tells apart from an alarm."""
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_a_plan_of_another_data_set_is_refused(decided, tmp_path, capsys):
    """`search` refuses a record of other data, `monitor` one of another model, both a file that is no record."""
    (tmp_path / "texts.txt").write_text("a cat\na dog\na bird\n", encoding="utf-8")
    assert main(["search", str(tmp_path / "texts.txt"), "--query", "cat", "--plan", decided["record"]]) == 2
    assert re.search("decided on data [0-9a-f]{16} and these are", capsys.readouterr().err)
    assert main(["monitor", "sample", "--model", "all-MiniLM-L6-v2", "--limit", "30", "--plan", decided["record"]]) == 2
    assert "decided for the model wordllama" in capsys.readouterr().err
    for content, message in (
        ("{oops", "is no JSON"),
        ("[1]", "no decision record"),
        ('{"schema": 1}', "no decision record"),
    ):
        (tmp_path / "plan.json").write_text(content, encoding="utf-8")
        assert main(["monitor", "sample", "--plan", str(tmp_path / "plan.json")]) == 2
        assert message in capsys.readouterr().err
