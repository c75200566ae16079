"""Parts of the Claims page: the table by verdict, and one claim with its source, its rule and our numbers."""

from __future__ import annotations

import streamlit as st

from mrl_viz.claims.claim import NOT_HERE, NOT_TESTABLE, NOT_YET, REPRODUCED, ClaimsTable, Record, shipped_table
from mrl_viz.ui.charts import download, headline, plain, small_print
from mrl_viz.ui.views import way_to

CHOSEN_KEY, FILTER_KEY, URL_KEY = "claim_chosen", "claim_verdict", "claim"
ALL = "all"
COLORS = {REPRODUCED: "green", NOT_HERE: "orange", NOT_TESTABLE: "gray", NOT_YET: "blue"}


@st.cache_resource(show_spinner=False)
def claims() -> ClaimsTable:
    """What comes with the project, read once per server."""
    return shipped_table()


def choose_verdict(table: ClaimsTable) -> tuple[Record, ...]:
    """The claims with a verdict, all at first."""
    there = [verdict for verdict in COLORS if table.only(verdict)]
    chosen = st.segmented_control("Verdict", [ALL, *there], default=ALL, key=FILTER_KEY, required=True)
    return table.records if chosen == ALL else table.only(chosen)


def table_shown(records: tuple[Record, ...]) -> None:
    """Claim, who, their number, ours and the verdict, a row each."""
    lines = ["| verdict | claim | who | their number | ours |", "|---|---|---|---|---|"]
    for one in records:
        cells = one.claim.claim, one.claim.who, one.claim.number, one.brief
        lines.append(f"| {_badge(one)} | {' | '.join(map(plain, cells))} |")
    with st.container(key="claims_table"):
        st.markdown("\n".join(lines))


def _badge(one: Record) -> str:
    return f":{COLORS[one.verdict]}-badge[{one.verdict}]"


def choose_claim(records: tuple[Record, ...]) -> Record | None:
    """One of them, or none; it stands in the address."""
    there = {one.claim.id: one for one in records}
    if CHOSEN_KEY not in st.session_state:
        st.session_state[CHOSEN_KEY] = st.query_params.get(URL_KEY)
    if st.session_state[CHOSEN_KEY] not in there:
        st.session_state[CHOSEN_KEY] = None
    chosen: str | None = st.selectbox(
        "One claim", list(there), key=CHOSEN_KEY, placeholder="Its source, the rule, our numbers, the page",
        format_func=lambda name: there[name].claim.claim,
    )  # fmt: skip
    if chosen is None:
        st.query_params.pop(URL_KEY, None)
        return None
    st.query_params[URL_KEY] = chosen
    return there[chosen]


def claim_shown(one: Record) -> None:
    """What was claimed, what was measured, by which rule, and where it can be seen."""
    claim, finding = one.claim, one.finding
    with st.container(border=True, key="claim_shown"):
        st.markdown(f"{_badge(one)} **{plain(claim.claim)}**")
        source = f"[{plain(claim.source)}]({claim.url})" if claim.url else plain(claim.source)
        read = f" We have read {plain(claim.seen)}." if claim.seen else ""
        st.markdown(f"**Theirs:** {plain(claim.number)}, on {plain(claim.on)}. {source}.{read}")
        if finding is None:
            headline(one.takeaway())
        else:
            lines = ["| ours | with its 95 % interval | the rule asks whether it | and it |", "|---|---|---|---|"]
            lines += [
                f"| {plain(part.what)} | {plain(part.said)} | {plain(part.asked)} | {plain(part.outcome)} |"
                for part in finding.parts
            ]
            st.markdown("\n".join(lines))
            small_print(
                f"Rule: {claim.rule}",
                f"Measured on {finding.on}. {finding.note}".strip(),
                f"On {finding.when}; again by `{one.script}`.",
            )
        way_to("See it on its page", claim.page, claim.state.items(), key="claim_page")


def record_offered(table: ClaimsTable) -> None:
    """All records as a file."""
    download("Download the records (JSON)", table.to_json, "mrl_viz_claims.json", "claims_json")
