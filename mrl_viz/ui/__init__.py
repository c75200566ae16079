"""Widgets, workspace state and cached calls: one module a page, and the frame that pages share."""

# Whole before the first script runs. plotly looks at pandas where it is loaded, and one visitor's figure must not meet
# the half of it that the first table of another visitor is just importing; scipy.stats, which sklearn and umap ask for,
# looks at torch in the same way while it is imported, and never again.
import pandas as pd  # noqa: F401
import scipy.stats  # noqa: F401
