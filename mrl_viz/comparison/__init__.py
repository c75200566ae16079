"""Models side by side, per byte of a stored vector.

Overlap compares a model with its own full width, so it never ranks models: only task quality does, and without labels
nothing.
"""

from mrl_viz.comparison.compare import DTYPES, calibration_rows, compare_models, encode_speed
from mrl_viz.comparison.neighbors import ModelNeighbors, SideBySide, neighbors_side_by_side
from mrl_viz.comparison.precision import CodedPoint, PrecisionComparison, compare_precisions
from mrl_viz.comparison.results import ComparedModel, ComparedPoint, ModelAgreement, ModelComparison
from mrl_viz.measures.front import pareto_front

__all__ = [
    "DTYPES",
    "CodedPoint",
    "ComparedModel",
    "ComparedPoint",
    "ModelAgreement",
    "ModelComparison",
    "ModelNeighbors",
    "PrecisionComparison",
    "SideBySide",
    "calibration_rows",
    "compare_models",
    "compare_precisions",
    "encode_speed",
    "neighbors_side_by_side",
    "pareto_front",
]
