"""Write docs/claims.md again: the claims beside the findings that come with the project.

    python -m docs.make_claims            # from what is kept
    python -m docs.make_claims --measure  # measure all claims again, keep the findings, and write; two or three minutes

A test compares the page with what is kept, and `mrl_viz claims` what is kept with what is measured.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mrl_viz.claims.claim import ClaimsTable, Record, read_claims, ship, shipped_table

PAGE = Path(__file__).parent / "claims.md"
HEAD = """# What was claimed, and what was measured here

Written by `python -m docs.make_claims`; not by hand. The page *Learn → Claims* shows the same, with a way to the page
where each can be seen; `mrl_viz claims` measures all of it again, in two or three minutes on two cores, and ends with
code 1 where a verdict is another one.

*Reproduced* and *not here* follow from the rule beside each claim, which was written before the number was looked at;
four say what was changed after a first look. They are about small data that come with this project, and two small
models: *not here* does not mean that it is wrong elsewhere.

"""


def made() -> str:
    """The page."""
    return HEAD + shipped_table().markdown()


def main() -> None:
    if "--measure" in sys.argv[1:]:
        from mrl_viz.claims.measures import measure

        only = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
        kept = {one.claim.id: one.finding for one in shipped_table().records}
        records = []
        for claim in read_claims():
            is_asked = bool(claim.measure) and (not only or claim.id in only)
            records.append(Record(claim, measure(claim) if is_asked else kept[claim.id] if claim.measure else None))
            if is_asked:
                print(f"{records[-1].finding.seconds:6.1f} s  {claim.id}: {records[-1].takeaway()}", flush=True)
        print(ship(ClaimsTable(tuple(records))))
    PAGE.write_text(made(), encoding="utf-8")
    print(f"{PAGE}: {PAGE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
