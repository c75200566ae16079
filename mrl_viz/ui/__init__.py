"""Widgets, workspace state and cached calls: the only library code that may import streamlit."""

from mrl_viz.ui.charts import (
    chart,
    code_shown,
    errors_shown,
    records,
)
from mrl_viz.ui.neighbors import (
    BUMP_CODE,
    BY_K_CODE,
    OVERLAP_CODE,
    PER_ITEM_CODE,
    change_cards,
    choose_item,
    every_width_wanted,
    headline,
    item_rows,
    texts_of,
)
from mrl_viz.ui.results import (
    analysis,
    every_width,
    neighbor_ranks,
)
from mrl_viz.ui.sources import (
    choose_data,
    data_check,
    model_card,
)
from mrl_viz.ui.workspace import (
    Workspace,
    require_workspace,
    sidebar,
)

__all__ = [
    "BUMP_CODE",
    "BY_K_CODE",
    "OVERLAP_CODE",
    "PER_ITEM_CODE",
    "Workspace",
    "analysis",
    "change_cards",
    "chart",
    "choose_data",
    "choose_item",
    "code_shown",
    "data_check",
    "errors_shown",
    "every_width",
    "every_width_wanted",
    "headline",
    "item_rows",
    "model_card",
    "neighbor_ranks",
    "records",
    "require_workspace",
    "sidebar",
    "texts_of",
]
