"""What `import mrl_viz as mv` offers: fourteen names, loaded when used, each documented with an example that runs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mrl_viz as mv

ROOT = Path(__file__).parent.parent.parent
NAMES = {
    "Adaptor",
    "__version__",
    "analyse",
    "compare",
    "controls",
    "embed",
    "evaluate",
    "figures",
    "fit_adaptor",
    "nested_sweep",
    "read_corpus",
    "recommend",
    "search",
    "truncate_and_normalize",
}


def test_the_surface_is_these_names():
    """`__all__`, `dir` and the stub for type checkers agree, and every name is there."""
    stub = ast.parse((ROOT / "mrl_viz" / "__init__.pyi").read_text(encoding="utf-8"))
    imported = {name.asname for node in stub.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert set(mv.__all__) == set(dir(mv)) == NAMES == imported | {"__version__"}
    for name in mv.__all__:
        assert getattr(mv, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mv.nonsense


def test_no_name_is_also_a_room():
    """No function hides a sub-package or module of the same name; `figures` is the sub-package itself."""
    rooms = {path.stem for path in (ROOT / "mrl_viz").iterdir()}
    assert NAMES & rooms == {"figures"}


def test_importing_loads_nothing_heavy():
    """`import mrl_viz` and listing its names load no third party."""
    heavy = ("numpy", "torch", "pandas", "plotly")
    code = f"import sys, mrl_viz; dir(mrl_viz); print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_every_name_is_documented():
    """docs/api.md has a section for every name, in which it is used."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for name in NAMES - {"__version__"}:
        section = re.search(rf"^## `mv\.{name}`\n(.*?)(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL)
        assert section and f"mv.{name}" in "".join(re.findall(r"```python\n(.*?)```", section[1], flags=re.DOTALL)), (
            name
        )
