"""`audit`: the live index of a deployed plan, asked and compared with the exact sweep of what it was built from."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from mrl_viz.cli import at_size
from mrl_viz.cli.arguments import add_verb, embed_source, read_record, read_source
from mrl_viz.cli.decide import PLAN_HELP, deployed_aim
from mrl_viz.cli.printing import say, table, write_json
from mrl_viz.errors import InvalidInputError

if TYPE_CHECKING:
    from mrl_viz.scale.rows import Rows
    from mrl_viz.truncation import FloatMatrix

IDS = {"own": "those of the source", "number": "row numbers", "number from 1": "row numbers from 1 on"}
URL_HELP = (
    "faiss:///index.faiss, postgresql://user@host/db?table=items, qdrant+http://host:6333/items, qdrant:///folder, "
    "lancedb:///folder?table=items, milvus:///file.db?collection=items or sqlite-vec:///file.db?table=items; what is "
    "not said is called as the deployment snippets call it"
)


def add_verbs(verbs: Any) -> None:
    """Add the verb to the parser's."""
    audit = add_verb(
        verbs, "audit", _audit,
        "does the live index at STORE_URL answer as its plan should? and if not, the likely cause; code 1 below target",
        is_source_named=True, k="neighbors compared", is_k_of_record=True, seed="the samples of queries and rows",
    )  # fmt: skip
    audit.add_argument("store", metavar="STORE_URL", help=URL_HELP)
    audit.add_argument("--plan", metavar="PLAN", required=True, help=f"what is deployed: {PLAN_HELP}")
    audit.add_argument(
        "--target", type=float, help="share of the plan's recall to stay at (default: the record's target, else 0.95)"
    )
    # A source is read block by block for its kind or its size, as it cannot be asked for here.
    audit.set_defaults(sample_queries=None, shard=None, cluster=None, out=None)
    audit.add_argument("--sample", type=int, default=500, metavar="N", help="queries asked, at most (default 500)")
    audit.add_argument(
        "--sample-rows", type=int, default=1000, metavar="N", help="rows looked up by id, at most (default 1000)"
    )


def _audit(args: argparse.Namespace) -> int:
    from mrl_viz.decide import changed_since, plan_from_record, plan_from_text
    from mrl_viz.stores import open_store
    from mrl_viz.stores.audit import audit_store

    record = read_record(args.plan)
    plan = plan_from_text(args.plan) if record is None else plan_from_record(record)
    k, target, promised = deployed_aim(args, record)
    # First, so that a wrong address is heard before texts are embedded.
    with open_store(args.store) as store:
        rows, queries, ids, model = _source(args)
        _check_model(record, model, rows)
        result = audit_store(
            store, rows, plan, queries, ids=ids, target=target, promised=promised, k=k, n_queries=args.sample,
            n_rows=args.sample_rows, seed=args.seed,
        )  # fmt: skip
    say(notes=changed_since(record or {}))
    table(
        {"": "{name}", "store": "{store}", "95 % interval": "{interval}", "plan here": "{plan}"},
        [
            {
                "name": name,
                "store": f"{live.value:.4f}",
                "interval": f"[{live.low:.4f}, {live.high:.4f}]",
                "plan": should,
            }
            for name, live, should in (
                (f"recall@{result.k} of the plan's own", result.recall, f"{result.expected_recall:.4f}"),
                (f"overlap@{result.k} with full width", result.overlap, f"{result.expected_overlap:.4f}"),
            )
        ],
    )
    if result.score_median is not None:
        say(
            f"Scores differ from the cosines by {result.score_median:.2g} (median), {result.score_largest:.2g} at most."
        )
    say(
        f"{result.n_stored:,} vectors stored, {result.n_items:,} in the source; {result.n_missing:,} of "
        f"{result.n_checked:,} ids looked up are missing, {result.n_compared:,} vectors compared; ids are "
        f"{IDS[result.ids]}."
    )
    say(result.takeaway())
    write_json(args.json, result.to_dict())
    return 1 if result.is_below_target else 0


def _check_model(record: dict[str, Any] | None, model: str | None, rows: Rows | FloatMatrix) -> None:
    """Refuse vectors of another model than was decided for; of ready vectors the width alone is known."""
    from mrl_viz.scale.rows import Rows

    decided = (record or {}).get("model") or {}
    full_dim = rows.full_dim if isinstance(rows, Rows) else int(rows.shape[1])
    wanted, found = (decided.get("name"), model) if model else (decided.get("full_dim"), full_dim)
    if wanted not in (None, found):
        what = "the model {}" if model else "vectors of {} coordinates"
        raise InvalidInputError(
            f"`--plan` was decided for {what.format(wanted)} and these are of {found}; use that model."
        )


def _source(
    args: argparse.Namespace,
) -> tuple[Rows | FloatMatrix, FloatMatrix | None, tuple[str, ...] | None, str | None]:
    """The rows, the queries, and where they are known, ids and the model: of vectors at size or in an object store only
    what is asked for is read, all else is read and embedded as `monitor` does it."""
    from mrl_viz.scale.rows import open_rows

    args.source = os.path.expanduser(args.source)
    if at_size.is_at_size(args):
        rows = open_rows(args.source)
        asked = open_rows(args.queries) if args.queries else None
        return rows, None if asked is None else asked.read(0, asked.n_rows), None, None
    corpus = read_source(args)
    embedded = embed_source(args, corpus)
    is_ready = corpus.embeddings is not None
    return embedded.matrix, embedded.queries, embedded.corpus.ids, None if is_ready else embedded.model
