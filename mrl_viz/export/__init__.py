"""Results as files that stand alone."""

from mrl_viz.export.report import comparison_report
from mrl_viz.export.snippets import DeploymentSnippet, deployment_snippets

__all__ = ["DeploymentSnippet", "comparison_report", "deployment_snippets"]
