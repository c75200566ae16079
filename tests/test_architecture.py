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
COMPILED = {"numba", "llvmlite", "threadpoolctl"}
ENCODERS = {"sentence_transformers", "transformers", "tokenizers", "safetensors", "wordllama", "huggingface_hub"}
CLIENTS = {"httpx", "httpx2", "openai", "boto3", "botocore"}
DATA = NUMERIC | ENCODERS | CLIENTS | {"pandas", "pyarrow", "zarr", "filelock", "platformdirs"}
LEARNED = NUMERIC | {"sklearn", "umap", "faiss"}
CORE = {"errors", "files", "fingerprint", "home", "result", "truncation", "arrangements", "sweep", "measures"}
# Room: third parties it may import, rooms of ours it may import.
ROOMS = {
    "errors": (set(), set()),
    "files": ({"platformdirs"}, {"errors"}),
    "home": (set(), set()),
    "fingerprint": ({"numpy"}, set()),
    "result": ({"numpy"}, set()),
    "archive": ({"numpy"}, {"files"}),
    "truncation": (NUMERIC, {"errors", "result"}),
    "arrangements": (NUMERIC, {"errors", "truncation"}),
    "sweep": (NUMERIC | COMPILED, {"errors", "files", "truncation"}),
    "measures": (NUMERIC, CORE),
    "data": (DATA | {"PIL"}, CORE),
    "scale": (
        DATA | {"distributed", "fsspec"},
        CORE | {"archive", "data", "embedding", "retrieval", "decide", "comparison"},
    ),
    "embedding": (DATA, CORE | {"data"}),
    "analysis": (NUMERIC, CORE | {"embedding"}),
    "tasks": (LEARNED | {"bm25s"}, CORE | {"data", "embedding"}),
    "projection": (LEARNED, CORE | {"archive"}),
    "retrieval": (LEARNED, CORE | {"tasks"}),
    "training": (DATA | LEARNED, CORE | {"archive", "data", "embedding", "tasks"}),
    "adaptor": (DATA | LEARNED, CORE | {"data", "embedding", "tasks", "training"}),
    "heads": (LEARNED, CORE | {"training"}),
    "comparison": (NUMERIC, CORE | {"data", "embedding", "tasks", "retrieval"}),
    "stores": (
        {"numpy", "apsw", "sqlite_vec", "qdrant_client", "httpx", "lancedb", "pymilvus", "psycopg"},
        CORE | {"tasks", "retrieval", "scale"},
    ),
    "decide": (NUMERIC, CORE | {"data", "embedding", "tasks", "retrieval"}),
    "figures": (
        {"numpy", "plotly"},
        CORE | {"tasks", "projection", "retrieval", "comparison", "decide", "training", "adaptor", "heads", "lessons"},
    ),
    "lessons": (NUMERIC, CORE | {"embedding", "comparison", "retrieval", "tasks"}),
    "claims": (
        LEARNED,
        CORE | {"analysis", "data", "embedding", "tasks", "retrieval", "training", "adaptor", "heads"},
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


def import_graph(root, package):
    """Every module of a package, by name, with those of its modules that it imports anywhere, even only for types.

    `from a import b` is of the module a.b where there is one, else of a; importing a.b runs a as well, whose `__init__`
    counts as a module, except for what lies inside a itself.
    """
    modules = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in package.rglob("*.py")
    }
    graph = {}
    for name, path in modules.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {one if one in modules else node.module for one in inner}
        parents = {one.rsplit(".", n)[0] for one in found for n in range(1, one.count(".") + 1)}
        found |= {one for one in parents if not name.startswith(f"{one}.")}
        graph[name] = found & set(modules) - {name}
    return graph


def cycles(graph):
    """The groups of modules that import each other, one way or round about."""

    def reached(start):
        seen, waiting = set(), [start]
        while waiting:
            fresh = graph[waiting.pop()] - seen
            seen |= fresh
            waiting += fresh
        return seen

    reach = {name: reached(name) for name in graph}
    return {frozenset(other for other in reach[name] if name in reach[other]) for name in graph if name in reach[name]}


def test_no_modules_import_each_other():
    """The import graph has no cycle of modules, not even through imports inside functions or for types only."""
    assert not [sorted(cycle) for cycle in cycles(import_graph(ROOT, PACKAGE))]


def test_cycles_are_found_wherever_the_import_stands(tmp_path):
    """A cycle through a function, a type-checking block or a package's own `__init__` is one; a chain is none."""
    package = tmp_path / "house"
    package.mkdir()
    files = {
        "__init__": "",
        "one": "def late():\n    from house import two",
        "two": "if False:\n    import house.three",
        "three": "from house.one import late",
        "four": "from house import one",
    }
    for name, text in files.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    assert cycles(import_graph(tmp_path, package)) == {frozenset({"house.one", "house.two", "house.three"})}
    room = package / "room"
    room.mkdir()
    (room / "__init__.py").write_text("from house.room.inside import thing", encoding="utf-8")
    (room / "inside.py").write_text("from house.room import other", encoding="utf-8")
    assert frozenset({"house.room", "house.room.inside"}) in cycles(import_graph(tmp_path, package))


@pytest.mark.parametrize("path", [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))], ids=lambda path: path.name)
def test_pages_are_widgets_and_prose(path):
    """Pages stay short and import streamlit and our user-interface rooms only; none lies directly in pages/."""
    assert path.parent != ROOT / "pages"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= (60 if path.name == "app.py" else 100)
    for name in imports(path):
        assert name in ("streamlit", "mrl_viz") or name.split(".")[:2] == ["mrl_viz", "ui"], (
            f"{path.name} imports {name}"
        )


@pytest.mark.parametrize("rooms", ["mrl_viz.cli.main, mrl_viz.truncation", "mrl_viz.figures"])
def test_importing_the_package_is_light(rooms):
    """The command line's rooms and the figures load neither torch nor streamlit nor pandas."""
    heavy = ("torch", "streamlit", "umap", "pandas", "sentence_transformers", "zarr", "bm25s")
    code = f"import sys, {rooms}; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
