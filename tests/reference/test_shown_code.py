"""The code that the pages show is code that runs."""

import plotly.graph_objects as go
import pytest

from mrl_viz.ui import code

SHOWN = sorted(name for name in vars(code) if name.endswith("_CODE"))


@pytest.mark.parametrize("name", SHOWN)
def test_shown_code_runs_and_ends_in_pictures(name, monkeypatch, tmp_path):
    """What a page shows as the code behind a figure runs as it stands, and whatever it shows has data."""
    shown = []
    monkeypatch.setattr(go.Figure, "show", lambda figure: shown.append(figure))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRL_VIZ_CACHE", str(tmp_path))
    source = getattr(code, name)
    exec(compile(source, name, "exec"), {})
    assert len(shown) == source.count(".show()")
    assert all(len(figure.data) for figure in shown)
