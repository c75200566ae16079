"""The app: page config, navigation and the shared sidebar."""

import streamlit as st

from mrl_viz.ui.sidebar import sidebar

st.set_page_config(page_title="mrl_viz", page_icon="docs/icon.png", layout="wide")

page = st.navigation(
    {
        "": [st.Page("pages/home/start.py", title="Start", icon=":material/home:", default=True)],
        "Explore": [
            st.Page("pages/explore/anatomy.py", title="Anatomy", icon=":material/layers:", url_path="anatomy"),
            st.Page(
                "pages/explore/similarity.py",
                title="Similarity",
                icon=":material/compare_arrows:",
                url_path="similarity",
            ),
            st.Page("pages/explore/neighbors.py", title="Neighbors", icon=":material/hub:", url_path="neighbors"),
            st.Page("pages/explore/map.py", title="Map", icon=":material/scatter_plot:", url_path="map"),
            st.Page("pages/explore/quality.py", title="Task quality", icon=":material/verified:", url_path="quality"),
            st.Page("pages/explore/space.py", title="Inside the space", icon=":material/blur_on:", url_path="space"),
            st.Page("pages/explore/search.py", title="Search lab", icon=":material/search:", url_path="search"),
        ],
        "Decide": [
            st.Page("pages/decide/compare.py", title="Compare models", icon=":material/balance:", url_path="compare"),
            st.Page(
                "pages/decide/choose.py", title="Choose a dimension", icon=":material/task_alt:", url_path="choose"
            ),
        ],
        "Train": [
            st.Page("pages/train/mrl.py", title="Train MRL", icon=":material/model_training:", url_path="train"),
            st.Page(
                "pages/train/adaptive.py",
                title="Adaptive classification",
                icon=":material/stairs:",
                url_path="adaptive",
            ),
            st.Page("pages/train/adaptor.py", title="Adaptor", icon=":material/transform:", url_path="adaptor"),
        ],
    },
    expanded=True,  # above a dozen pages Streamlit would hide the last ones
)
sidebar()
page.run()
