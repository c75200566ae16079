"""The house's rooms import only what they may, and importing the package loads nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mrl_viz"
STDLIB = sys.stdlib_module_names
NUMERIC = {"numpy", "scipy", "torch", "ir_measures"}
DATA = NUMERIC | {"pandas", "pyarrow", "zarr", "sentence_transformers", "transformers", "tokenizers", "safetensors", "wordllama",
                  "huggingface_hub", "httpx", "httpx2", "filelock", "platformdirs", "openai", "boto3", "botocore"}  # fmt: skip
LEARNED = NUMERIC | {"sklearn", "umap", "faiss"}
CORE = {"errors", "files", "fingerprint", "home", "result", "truncation", "arrangements", "sweep", "measures"}
# Room: third parties it may import, rooms of ours it may import.
ROOMS = {
    "errors": (set(), set()),
    "files": (set(), {"errors"}),
    "home": (set(), set()),
    "fingerprint": ({"numpy"}, set()),
    "result": ({"numpy"}, set()),
    "truncation": (NUMERIC, {"errors", "result"}),
    "arrangements": (NUMERIC, {"errors", "truncation"}),
    "sweep": (NUMERIC, {"errors", "truncation"}),
    "measures": (NUMERIC, CORE),
    "data": (DATA, CORE),
    "embedding": (DATA, CORE | {"data"}),
    "analysis": (NUMERIC, CORE | {"embedding"}),
    "tasks": (LEARNED, CORE | {"data", "embedding"}),
    "projection": (LEARNED, CORE),
    "retrieval": (LEARNED, CORE | {"tasks"}),
    "training": (DATA | LEARNED, CORE | {"data", "embedding", "tasks"}),
    "adaptor": (DATA | LEARNED, CORE | {"data", "embedding", "tasks", "training"}),
    "heads": (LEARNED, CORE | {"training"}),
    "comparison": (NUMERIC, CORE | {"data", "embedding", "tasks", "retrieval"}),
    "decide": (NUMERIC, CORE | {"data", "embedding", "tasks", "retrieval"}),
    "figures": (
        {"numpy", "plotly"},
        CORE | {"tasks", "projection", "retrieval", "comparison", "decide", "training", "adaptor", "heads"},
    ),
    "launcher": ({"streamlit", "websockets"}, {"errors", "home"}),
}
EVERYTHING = {"cli", "__main__", "__init__", "ui", "export"}


def imports(path):
    """Every module a file imports, at any depth of nesting."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_import_what_they_may(path):
    """A room's imports are the standard library, its third parties, and the rooms below it."""
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in EVERYTHING:
        # The page is dressed by `ui` alone, and a page and a command line share what lies below both, not each other.
        named = set(imports(path))
        assert room == "ui" or "streamlit" not in {name.split(".")[0] for name in named}
        assert room != "ui" or not any(name.startswith("mrl_viz.cli") for name in named)
        return
    assert room in ROOMS, f"{room} is a new room: say here what it may import"
    third_parties, ours = ROOMS[room]
    for name in imports(path):
        top, *rest = name.split(".")
        if top == "mrl_viz":
            assert not rest or rest[0] in ours | {room}, f"{path.name} imports {name}"
        else:
            assert top in STDLIB | third_parties, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))], ids=lambda path: path.name)
def test_pages_are_widgets_and_prose(path):
    """Pages stay short and import streamlit and our user-interface rooms only; none lies directly in pages/."""
    assert path.parent != ROOT / "pages"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= (60 if path.name == "app.py" else 100)
    for name in imports(path):
        assert name in ("streamlit", "mrl_viz") or name.split(".")[:2] == ["mrl_viz", "ui"], (
            f"{path.name} imports {name}"
        )


def test_importing_the_package_is_light():
    """`import mrl_viz` and its command line load neither torch nor streamlit nor pandas."""
    code = (
        "import sys, mrl_viz.cli.main, mrl_viz.truncation;"
        "print([m for m in ('torch', 'streamlit', 'umap', 'pandas', 'sentence_transformers', 'zarr') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
