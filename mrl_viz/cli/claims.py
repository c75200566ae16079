"""The verb `claims`: what was claimed for Matryoshka embeddings, measured again on what comes with the project."""

from __future__ import annotations

import argparse
from typing import Any

from mrl_viz.cli.printing import progress, say, table, write_json


def add_verbs(verbs: Any) -> None:
    """Add the verb to the parser's."""
    summary = "measure again what was claimed for Matryoshka embeddings; code 1 if a verdict is another one"
    parser = verbs.add_parser("claims", help=summary, description=f"{summary}. Takes two or three minutes.")
    parser.add_argument("--only", metavar="ID", action="append", default=[], help="one claim; once for each")
    parser.add_argument("--kept", action="store_true", help="do not measure: show what comes with the project")
    parser.add_argument("--json", metavar="OUT", help="also write it as data, one record a claim")
    parser.set_defaults(run=_claims)


def _claims(args: argparse.Namespace) -> int:
    from mrl_viz.claims.claim import ClaimsTable, Record, known_id, shipped_table

    kept = shipped_table()
    wanted = {known_id(one, kept.records) for one in args.only} or {one.claim.id for one in kept.records}
    chosen = tuple(one for one in kept.records if one.claim.id in wanted)
    if args.kept:
        found = ClaimsTable(chosen)
    else:
        from mrl_viz.claims.measures import measure

        records = []
        with progress("measuring") as show:
            for done, one in enumerate(chosen, start=1):
                records.append(Record(one.claim, measure(one.claim) if one.claim.measure else None))
                if show is not None:
                    show(done, len(chosen))
        found = ClaimsTable(tuple(records))
    table(
        {
            "id": "{one.claim.id}",
            "their number": "{one.claim.number}",
            "ours": "{one.ours}",
            "verdict": "{one.verdict}",
        },
        ({"one": one} for one in found.records),
    )
    changed = [one for one, before in zip(found.records, chosen) if one.verdict != before.verdict]
    notes = [
        f"{one.claim.id} is {one.verdict} now, and was {kept.record(one.claim.id).verdict}"
        + ("; it is measured by the clock, so this machine may differ." if one.claim.is_timed else ".")
        for one in changed
    ]
    say(found.takeaway(), notes=notes)
    write_json(args.json, found.to_dict())
    return 1 if any(not one.claim.is_timed for one in changed) else 0
