"""One function per picture: a result in, a plotly Figure out. No maths beyond binning and formatting."""

from collections.abc import Callable
from typing import Any

from plotly.graph_objects import Figure

from mrl_viz.figures.adaptive import accuracy_by_width, class_losses, exit_shares, exits_by_class, exits_by_label
from mrl_viz.figures.adaptor import adaptor_curves, adaptor_gains, adaptor_losses
from mrl_viz.figures.anatomy import (
    coordinate_strip,
    nested_dolls,
    pair_curve,
    prefix_norms,
    short_vectors,
    word_influence_map,
)
from mrl_viz.figures.comparison import n2o_heatmap, overlap_per_byte, quality_per_byte
from mrl_viz.figures.controls import controls_curve, coordinate_order, nestedness_bars
from mrl_viz.figures.decide import corpus_size_curve, pareto, sensitivity_heatmap
from mrl_viz.figures.lessons import blind_curves, kept_in_bytes, promised, trained_panels, votes
from mrl_viz.figures.maps import map_animation, map_panels
from mrl_viz.figures.monitor import monitor_canaries, monitor_overlap
from mrl_viz.figures.neighbors import kept_and_useful, neighbor_bump, overlap_by_k, overlap_curve, per_item_strip
from mrl_viz.figures.precision import kept_per_byte, width_by_bits
from mrl_viz.figures.quality import (
    between_curve,
    language_curves,
    long_tail_curves,
    quality_curves,
    robustness_curves,
    translation_curves,
)
from mrl_viz.figures.retrieval import funnel, layout_bytes, shortlist_overlap, still_alive, stop_curves, width_gain
from mrl_viz.figures.similarity import density_heatmap, similarity_curves, similarity_heatmaps, threshold_shift
from mrl_viz.figures.space import geometry_curves, hubness_curves, space_agreement_curves
from mrl_viz.figures.training import overlay_curves, overlay_gains, training_losses, twin_curves, twin_gain, twin_kept

__all__ = [
    "accuracy_by_width",
    "adaptor_curves",
    "adaptor_gains",
    "adaptor_losses",
    "between_curve",
    "blind_curves",
    "class_losses",
    "controls_curve",
    "coordinate_order",
    "coordinate_strip",
    "corpus_size_curve",
    "density_heatmap",
    "exit_shares",
    "exits_by_class",
    "exits_by_label",
    "figure_of",
    "funnel",
    "geometry_curves",
    "hubness_curves",
    "kept_and_useful",
    "kept_in_bytes",
    "kept_per_byte",
    "language_curves",
    "layout_bytes",
    "long_tail_curves",
    "map_animation",
    "map_panels",
    "monitor_canaries",
    "monitor_overlap",
    "n2o_heatmap",
    "neighbor_bump",
    "nested_dolls",
    "nestedness_bars",
    "overlap_by_k",
    "overlap_curve",
    "overlap_per_byte",
    "overlay_curves",
    "overlay_gains",
    "pair_curve",
    "pareto",
    "per_item_strip",
    "prefix_norms",
    "promised",
    "quality_curves",
    "quality_per_byte",
    "robustness_curves",
    "sensitivity_heatmap",
    "short_vectors",
    "shortlist_overlap",
    "similarity_curves",
    "similarity_heatmaps",
    "space_agreement_curves",
    "still_alive",
    "stop_curves",
    "threshold_shift",
    "trained_panels",
    "training_losses",
    "translation_curves",
    "twin_curves",
    "twin_gain",
    "twin_kept",
    "votes",
    "width_by_bits",
    "width_gain",
    "word_influence_map",
]

# The figure that shows a result best, by the class of the result, where it needs nothing else.
_OBVIOUS: dict[str, Callable[..., Figure]] = {
    "Analysis": lambda result: overlap_curve(result.overlap),
    "NeighborOverlap": overlap_curve,
    "WidthSummary": kept_and_useful,
    "ControlComparison": controls_curve,
    "Nestedness": nestedness_bars,
    "SimilarityBand": similarity_curves,
    "SimilarityDensity": density_heatmap,
    "ThresholdMeaning": threshold_shift,
    "VectorAnatomy": nested_dolls,
    "PairByWidth": pair_curve,
    "ShortVectorAgreement": short_vectors,
    "WordInfluence": word_influence_map,
    "SpaceAgreement": space_agreement_curves,
    "Geometry": geometry_curves,
    "Hubness": hubness_curves,
    "LanguageQuality": language_curves,
    "LongTail": long_tail_curves,
    "Robustness": robustness_curves,
    "BetweenWidths": between_curve,
    "Quality": lambda result: quality_curves(result, result.main_metrics),
    "ModelComparison": lambda result: (overlap_per_byte if result.metric is None else quality_per_byte)(result),
    "PrecisionComparison": kept_per_byte,
    "Recommendation": pareto,
    "Sensitivity": sensitivity_heatmap,
    "CorpusSizeEffect": corpus_size_curve,
    "MonitorHistory": monitor_overlap,
    "ShortlistCurve": shortlist_overlap,
    "EarlyOrders": still_alive,
    "StopRule": stop_curves,
    "LayoutReads": layout_bytes,
    "WidthPrediction": width_gain,
    "AdaptorFit": lambda result: adaptor_curves(result, "overlap"),
    "ImportanceOrder": coordinate_order,
    "TwinComparison": twin_curves,
    "Overlay": overlay_curves,
}


def figure_of(result: Any) -> Figure | None:
    """The figure that shows a result best, as `result.show()` draws it; None where it has none of its own."""
    draw = _OBVIOUS.get(type(result).__name__)
    return None if draw is None else draw(result)
