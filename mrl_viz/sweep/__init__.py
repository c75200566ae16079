"""The nested sweep: exact neighbors at every width for about the price of one."""

from mrl_viz.sweep.cosines import cosine_matrices, pair_similarities
from mrl_viz.sweep.nested import Sweep, check_k, level_of, nested_sweep

__all__ = ["Sweep", "check_k", "cosine_matrices", "level_of", "nested_sweep", "pair_similarities"]
