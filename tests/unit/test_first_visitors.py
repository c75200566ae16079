"""Two visitors may be the first at once."""

import subprocess
import sys


def test_pandas_is_whole_before_the_first_script():
    """The user interface imports pandas itself: else one visitor's figure finds the half that another is importing."""
    code = "import sys, mrl_viz.ui.models; print(hasattr(sys.modules.get('pandas'), 'Series'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"
