"""Results as files that stand alone."""

from mrl_viz.export.report import comparison_report

__all__ = ["comparison_report"]
