"""No block of the library stands in it twice."""

from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parent.parent.parent / "mrl_viz"
LONGEST = 12


def lines_of(path):
    """The lines that say something: (number, text) without blanks, lone brackets, imports and comments."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if len(text) > 2 and not text.startswith(("import ", "from ", "#")):
            yield number, text


def repeats(folder, longest):
    """The places of every run of more than `longest` lines that is there twice."""
    places = defaultdict(list)
    for path in sorted(folder.rglob("*.py")):
        lines = list(lines_of(path))
        for start in range(len(lines) - longest):
            run = lines[start : start + longest + 1]
            places["\n".join(text for _, text in run)].append(f"{path.relative_to(folder)}:{run[0][0]}")
    return [found for found in places.values() if len(found) > 1]


def test_repeats_are_found(tmp_path):
    """Thirteen equal lines in two files are one repeat, twelve are none."""
    body = [f"value_{n} = compute({n})" for n in range(13)]
    (tmp_path / "a.py").write_text("\n".join(body), encoding="utf-8")
    (tmp_path / "b.py").write_text("\n".join(["first = 1", "", *body]), encoding="utf-8")
    assert repeats(tmp_path, LONGEST) == [["a.py:1", "b.py:3"]]
    (tmp_path / "b.py").write_text("\n".join(body[1:]), encoding="utf-8")
    assert repeats(tmp_path, LONGEST) == []


def test_no_block_stands_twice():
    """No more than 12 lines in a row are written twice in mrl_viz/."""
    assert repeats(PACKAGE, LONGEST) == []
