"""The command line on real files."""

import json
import re

import pytest

from mrl_viz.cli.main import main


def test_sweep_writes_schema_1(tmp_path, capsys):
    """`sweep sample` prints a table and writes the documented data."""
    out = tmp_path / "out.json"
    assert main(["sweep", "sample", "--dims", "32,64", "--json", str(out)]) == 0
    data = json.loads(out.read_text())
    assert data["schema"] == 1
    assert data["model"] == {"name": "wordllama", "full_dim": 256, "matryoshka_dims": [64, 128, 256]}
    rows = data["arrangements"]["prefix"]
    assert [row["dim"] for row in rows] == [32, 64, 256]
    assert data["chance"] < rows[0]["overlap"] < rows[1]["overlap"] < rows[2]["overlap"] == 1
    assert "survive" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", "is empty"),
        ("blank.txt", b"\n \n", "no text in them"),
        ("one.txt", b"one\n", "add at least one more text"),
        ("latin.txt", "caf\u00e9".encode("latin-1"), "not UTF-8 \\(byte 3\\)"),
        ("bad.jsonl", b'{"text": "a"}\n{oops\n', "line 2 is not JSON"),
        ("pickle.npy", b"\x80\x04\x95", "pickles are refused"),
        ("odd.xyz", b"a", "kind that is not read"),
    ],
)
def test_bad_files_are_one_line_and_code_2(tmp_path, capsys, name, content, message):
    """A bad file is one sentence on stderr."""
    (tmp_path / name).write_bytes(content)
    assert main(["sweep", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)
