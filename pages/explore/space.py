"""Inside the space: what happens to the cloud of vectors as a whole?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import space as page
from mrl_viz.ui.charts import draw
from mrl_viz.ui.frame import title
from mrl_viz.ui.results import analysis
from mrl_viz.ui.workspace import require_workspace

title("What happens to the space as a whole?", "CKA", "hub", "directions in use")
workspace = require_workspace()
agreement, geometry, hubs = page.space(analysis(workspace))
focus = workspace.focus_dim

st.subheader("Is it still the same space?")
st.write(
    "Linear CKA compares the two clouds up to a rotation and one common scale; RSA asks whether the similarities of "
    "all pairs keep their order. Both may stay near 1 while the *nearest* neighbors change: they are dominated by the "
    "many distant pairs. For search, trust the overlap on the Neighbors page."
)
draw(
    "agreement", figures.space_agreement_curves, agreement, focus, takeaway=agreement.takeaway_at(focus),
    alt=agreement.takeaway(), code=page.space_code(workspace),
)  # fmt: skip

st.subheader("How many directions are in use?")
st.write(
    "The participation ratio counts the directions that share the variance; where it stops growing, more coordinates "
    "add little. Anisotropy is the mean cosine of two different texts: the higher it is, the less a similarity says by "
    "itself."
)
draw(
    "geometry", figures.geometry_curves, geometry, focus, takeaway=geometry.takeaway_at(focus), alt=geometry.takeaway(),
)  # fmt: skip

st.subheader("Who is everybody's neighbor?")
st.write(
    "Hubs are texts that turn up in many lists, anti-hubs in none: a search can never return the latter near the top. "
    "Skewness 0 is even; above 1 there are clear hubs."
)
draw(
    "hubness", figures.hubness_curves, hubs, focus, takeaway=hubs.takeaway_at(focus), alt=hubs.takeaway(),
)  # fmt: skip
