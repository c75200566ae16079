"""Report & notebook: how do I take this with me?"""

import streamlit as st

from mrl_viz.ui import take as page
from mrl_viz.ui.frame import title
from mrl_viz.ui.workspace import require_workspace

title("How do I take this with me?")
workspace = require_workspace()
st.write(
    "A **notebook** makes the analysis again, figure by figure, wherever mrl_viz is installed: data, model, widths, k "
    "and seed are as they are here. A **report** shows it to somebody who has nothing installed. Both are made on this "
    "machine, of what is in the sidebar now."
)
wanted = page.choose_what(workspace)
if wanted.is_report:
    page.report_offered(workspace, wanted)
else:
    page.notebook_offered(workspace, wanted)
