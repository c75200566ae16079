"""One function per picture: a result in, a plotly Figure out. No maths beyond binning and formatting."""

from mrl_viz.figures.neighbors import neighbor_bump, overlap_by_k, overlap_curve, per_item_strip

__all__ = ["neighbor_bump", "overlap_by_k", "overlap_curve", "per_item_strip"]
