from mrl_viz import figures as figures
from mrl_viz.adaptor.adaptor import Adaptor as Adaptor
from mrl_viz.adaptor.fit import fit_adaptor as fit_adaptor
from mrl_viz.analysis import analyse as analyse
from mrl_viz.analysis import controls as controls
from mrl_viz.comparison.compare import compare_models as compare
from mrl_viz.data.reading import read_corpus as read_corpus
from mrl_viz.decide.choose import recommend as recommend
from mrl_viz.decide.search import search as search
from mrl_viz.embedding.embedded import embed as embed
from mrl_viz.sweep import nested_sweep as nested_sweep
from mrl_viz.tasks.evaluation import evaluate as evaluate
from mrl_viz.truncation import truncate_and_normalize as truncate_and_normalize

__version__: str
__all__ = [
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
]
