"""Search lab: what would a search return at each width, and with shortlist + rerank?"""

import streamlit as st

from mrl_viz import figures
from mrl_viz.ui import funnel, width_per_query
from mrl_viz.ui import search as page
from mrl_viz.ui.charts import draw, headline, in_tabs, small_print, table
from mrl_viz.ui.frame import title
from mrl_viz.ui.widening import widening
from mrl_viz.ui.workspace import require_workspace

title("What would a search return at each width?", "neighbor", "shortlist", "funnel", "recall", "interval", "margin")
workspace = require_workspace()
focus = workspace.focus_dim
query = page.choose_query(workspace)
found = page.results_by_width(workspace, query)
headline(page.search_takeaway(workspace, found))
table(page.result_rows(workspace, found), key="search_results", widths=page.result_widths(found))
small_print("Arrows compare with the rank at full width.")
asked = page.probes_of(workspace)


def funnel_part() -> None:
    start = st.container()
    designer, picture = st.columns([5, 7], gap="medium")
    stages = funnel.choose_stages(workspace, asked.n_items, start, designer)
    losses = funnel.losses_of(workspace, stages, asked)
    paths = funnel.paths_of(workspace, query, losses)
    with start:
        headline(losses.takeaway())
    with picture:
        chosen = funnel.choose_neighbor(workspace, paths)
        draw(
            "funnel", figures.funnel, losses, paths, funnel.texts_of(workspace, paths.items), chosen, is_said=True,
            code=funnel.funnel_code(workspace, query, paths, stages, chosen),
        )  # fmt: skip
    with designer:
        funnel.about_neighbor(workspace, query, paths, chosen)
    headline(paths.takeaway())
    with st.expander("All true neighbors of this query, stage by stage"):
        table(funnel.neighbor_rows(workspace, paths), key="funnel_neighbors")
    table(funnel.stage_rows(losses), key="stages")
    small_print(f"{asked.takeaway()} Multiply-adds are not latency: both are shown.")
    curve = funnel.curve_of(workspace, stages, asked)
    draw("shortlist_curve", figures.shortlist_overlap, curve, stages[0][1], code=funnel.curve_code(workspace, stages))


def stop_part() -> None:
    dim, target = page.choose_stop(workspace)
    rule = page.stop_rule(workspace, dim, target, asked)
    draw("stop_rule", figures.stop_curves, rule, code=page.stop_code(workspace, dim, target))
    st.write(rule.target_takeaway())
    small_print(
        "Texts are reranked one by one in the order of the small width, until the margin is large enough: the k-th "
        "best full-width cosine so far, minus the small-width cosine of the next. What is large enough is learnt on "
        "half of the queries and measured on the other half, in ten halvings: the sentences and the ring. The curves "
        "are of all queries, with nothing learnt.", asked.takeaway(),
    )  # fmt: skip


def time_part() -> None:
    widening(workspace, query, asked)
    st.subheader("Within a latency budget")
    answer = page.latency_dial(workspace, query, asked)
    if answer is not None:
        headline(answer.takeaway())
        table(page.adaptive_rows(workspace, answer), key="adaptive_results")


def columns_part() -> None:
    reads = page.reads_of(workspace)
    said = reads.takeaway_at(focus)
    draw("layout_bytes", figures.layout_bytes, reads, focus, takeaway=said, code=page.layout_code(workspace))
    small_print(
        f"{reads.n_items:,} vectors were written and read again, and what was read was counted. A disk gives blocks of "
        "4,096 bytes: by rows, each has a part of every width. By columns a search opens the files of its first "
        "coordinates, and a wider one reads on from there."
    )


def early_part() -> None:
    st.caption(
        "What is left of two unit vectors after some coordinates cannot add more to their product than the product of "
        "the norms left: ⟨q, x⟩ ≤ Σⱼ≤ₘ qⱼxⱼ + ‖q_{>m}‖‖x_{>m}‖. A vector whose bound is below the k-th best so far is "
        "out, and no result is lost. The sooner the coordinates that count come, the sooner that happens."
    )
    draw("still_alive", figures.still_alive, page.early_of(workspace), code=page.early_code(workspace))


in_tabs("search_part", {
    "Funnel": funnel_part, "Rerank until sure": stop_part, "Within a time": time_part,
    "Read by columns": columns_part, "Exact, stopped early": early_part,
    "A width each?": lambda: width_per_query.part(workspace),
})  # fmt: skip
