"""Claims: what was claimed for Matryoshka embeddings, and does it hold here?"""

import streamlit as st

from mrl_viz.ui import claims as page
from mrl_viz.ui.charts import headline
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("What was claimed, and does it hold here?", "Matryoshka", "interval", "nDCG", "Spearman", "overlap", "PCA")
require_workspace()
claims = page.claims()
headline(claims.takeaway())
st.caption(
    "Numbers of others are quoted with who says them, on what, and what of it we have read. Ours are of small data "
    "that come with this app: *not here* means that they do not show it, not that it is wrong elsewhere."
)
left, right = st.columns([1, 1])
with left:
    shown = page.choose_verdict(claims)
with right:
    chosen = page.choose_claim(shown)
if chosen is not None:
    page.claim_shown(chosen)
page.table_shown(shown)
page.record_offered(claims)
