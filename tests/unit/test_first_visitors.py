"""Two visitors may be the first at once."""

import subprocess
import sys

# torch as every other thread sees it while one is importing it
HALF_OF_TORCH = "import sys, types; sys.modules['torch'] = types.ModuleType('torch'); "


def _printed(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_pandas_is_whole_before_the_first_script():
    """The user interface imports pandas itself: else one visitor's figure finds the half that another is importing."""
    code = "import sys, mrl_viz.ui.models; print(hasattr(sys.modules.get('pandas'), 'Series'))"
    assert _printed(code) == "True"


def test_sklearn_and_umap_can_be_imported_while_another_thread_imports_torch():
    """The user interface has asked scipy.stats for itself by then, which takes half of torch for all of it."""
    users = "from sklearn.model_selection import cross_val_predict; import umap; print('imported')"
    assert _printed(f"import mrl_viz.ui; {HALF_OF_TORCH}{users}") == "imported"


def test_intervals_and_verdicts_can_be_had_while_another_thread_imports_torch():
    """The measures themselves need no scipy.stats."""
    code = (
        "import numpy as np; from mrl_viz.measures.controls import nestedness; "
        "from mrl_viz.measures.estimate import paired_tests; values = np.random.default_rng(0).random((3, 20)); "
        "print(len(paired_tests(values)), len(nestedness(values, values, values[:, :3], dims=(2, 4, 8)).dims), "
        "'scipy.stats' in sys.modules)"
    )
    assert _printed(HALF_OF_TORCH + code) == "3 3 False"
