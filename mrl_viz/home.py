"""Where app.py, its pages and the sample data lie: beside the package in a checkout, inside it when it is installed."""

from __future__ import annotations

from pathlib import Path


def home() -> Path:
    """The folder above the package where that holds app.py, else the package's own `_app`."""
    package = Path(__file__).parent
    return package.parent if (package.parent / "app.py").is_file() else package / "_app"
