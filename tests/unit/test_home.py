"""One rule for where the app and the sample data lie."""

import pytest

from mrl_viz import home as home_module
from mrl_viz.home import home


def test_home_of_a_checkout_is_the_folder_above_the_package():
    """Beside the package lie app.py and the sample data."""
    assert (home() / "app.py").is_file()
    assert (home() / "sample_data" / "corpus.jsonl").is_file()


@pytest.mark.parametrize("has_app, wanted", [(True, "."), (False, "mrl_viz/_app")])
def test_home_of_an_installed_package_is_inside_it(tmp_path, monkeypatch, has_app, wanted):
    """Without an app.py above it, the package holds its own."""
    monkeypatch.setattr(home_module, "__file__", str(tmp_path / "mrl_viz" / "home.py"))
    if has_app:
        (tmp_path / "app.py").touch()
    assert home() == tmp_path / wanted
