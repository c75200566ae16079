"""The verbs that measure: `sweep`, `evaluate`; and what they measure: `embed`, `models`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mrl_viz.cli import at_size, scale
from mrl_viz.cli.arguments import DIMS, add_hybrid, add_verb, embed_source, fusion_k_of, read_source
from mrl_viz.cli.printing import progress, say, table, write_json
from mrl_viz.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrl_viz.arrangements import Arrangement
    from mrl_viz.embedding.embedded import Embedded

ADAPTOR_PREFIX, IMPORTANCE = "adaptor:", "importance"


def add_verbs(verbs: Any) -> None:
    """Add the four verbs to the parser's."""
    sweep = add_verb(
        verbs, "sweep", _sweep, "neighbor overlap and similarity drift at every width",
        dims=DIMS, k="neighbors per list", seed="the bootstrap and the drift sample",
    )  # fmt: skip
    sweep.add_argument(
        "--arrangements",
        default="prefix",
        help="prefix,random,suffix,svd,centred,tempered:GAMMA,importance,adaptor:FOLDER: also measure these (default "
        "prefix)",
    )
    scale.add_to_sweep(sweep)

    evaluate = add_verb(
        verbs, "evaluate", _evaluate, "task quality at every width, where the data have labels",
        dims=DIMS, seed="bootstrap, folds and examples",
    )  # fmt: skip
    evaluate.add_argument(
        "--task", choices=("retrieval", "pairs", "classification"), help="default: the first the data have labels for"
    )
    evaluate.add_argument("--binary-qrels", action="store_true", help="count every positive relevance grade as 1")
    evaluate.add_argument(
        "--arrangement", metavar="A",
        help="of retrieval: svd, centred or tempered:GAMMA, fitted on the texts searched (default: as they are)",
    )  # fmt: skip
    evaluate.add_argument(
        "--api-short", metavar="FILE.npy",
        help="instead: do an API's own short vectors of these texts, recorded in this file, equal the full ones cut "
        "here? One row a text; `embed SOURCE --model openai:MODEL@64 --out FILE.npy` records them",
    )  # fmt: skip
    evaluate.add_argument(
        "--long-tail", metavar="LABEL", nargs="?", const="", help="instead: few-shot accuracy with a long tail of "
        "classes of this label (default: that with the most), one in five of them added later",
    )  # fmt: skip
    evaluate.add_argument(
        "--changed", metavar="HOW", help="instead: what is kept when texts are changed: typos, \"dropped words\", "
        "paraphrases, or \"another domain\"",
    )  # fmt: skip
    evaluate.add_argument(
        "--foreign", metavar="SOURCE", default="sample:hard", help="the texts of another domain (default sample:hard)"
    )
    evaluate.add_argument(
        "--twin", metavar="TWIN", help="of these two: a plain model of the same width, or, for vectors, a source of "
        "its vectors, to compare with",
    )  # fmt: skip
    add_hybrid(evaluate)

    embed = add_verb(verbs, "embed", _embed, "write the embeddings of a source as .npy", has_queries=False)
    embed.add_argument(
        "--out", required=True, metavar="FILE.npy",
        help="where the float32 matrix goes; a .npz holds the texts beside it, a .zarr any number of them",
    )  # fmt: skip
    scale.add_to_embed(embed)
    embed.add_argument(
        "--dim", type=int, help="keep this many coordinates, renormalised (default: the full width, as encoded)"
    )

    models = verbs.add_parser("models", help="the catalogue of known models")
    models.add_argument("--json", metavar="OUT", help="also write it as data")
    models.set_defaults(run=_models)


def split_arrangements(text: str) -> tuple[list[str], list[str]]:
    """The plain names and what is learnt, folders or "importance", of such as `prefix,importance,adaptor:FOLDER`.

    Raises
    ------
    InvalidInputError : `adaptor` without a folder.
    """
    parts = [part.strip() for part in text.split(",")]
    folders = [part[len(ADAPTOR_PREFIX) :] for part in parts if part.lower().startswith(ADAPTOR_PREFIX)]
    if "" in folders or "adaptor" in (part.lower() for part in parts):
        raise InvalidInputError("`arrangements` has an adaptor without its folder; write adaptor:FOLDER.")
    plain = [part for part in parts if not part.lower().startswith(ADAPTOR_PREFIX)]
    if IMPORTANCE in (part.lower() for part in plain):
        folders.append(IMPORTANCE)
    return [part for part in plain if part.lower() != IMPORTANCE], folders


def _learned_arrangements(
    wanted: Sequence[str], embedded: Embedded, dims: Sequence[int], k: int, seed: int
) -> list[Arrangement]:
    """Those of adaptor folders, and the order of coordinates learnt here for "importance", named as their lines are."""
    from mrl_viz.adaptor.adaptor import Adaptor
    from mrl_viz.adaptor.importance import learn_importance

    model = None if embedded.corpus.embeddings is not None else embedded.model
    folders = [name for name in wanted if name != IMPORTANCE]
    found = []
    for folder in folders:
        adaptor = Adaptor.load(folder, full_dim=embedded.full_dim, model=model)
        found.append(adaptor.arrangement("adaptor" if len(folders) == 1 else f"{ADAPTOR_PREFIX}{folder}"))
    if IMPORTANCE in wanted:
        narrow = [dim for dim in dims if dim < embedded.full_dim]
        found.append(learn_importance(embedded.matrix, narrow, k=k, seed=seed).arrangement)
    return found


def _sweep(args: argparse.Namespace) -> int:
    from mrl_viz.analysis import analyse, controls
    from mrl_viz.arrangements import check_arrangements
    from mrl_viz.truncation import parse_dims

    plain_names, learned = split_arrangements(args.arrangements)
    names, _ = check_arrangements(plain_names or ["prefix"])
    if scale.is_streamed(args):
        if learned:
            raise InvalidInputError(
                "`--arrangements` importance and adaptor:FOLDER need all vectors in memory; leave them out, or give "
                "fewer rows."
            )
        return scale.sweep_rows(args) if names == ("prefix",) else at_size.sweep_arrangements(args, names)
    corpus = read_source(args)
    embedded = embed_source(args, corpus)
    dims = parse_dims(args.dims, embedded.full_dim, embedded.matryoshka_dims)
    with progress("sweeping") as show:
        result = analyse(embedded, dims=dims, k=args.k, seed=args.seed, progress=show)
    check = corpus.check
    say(
        f"{check.n_items} texts ({check.n_empty} empty and {check.n_duplicates} duplicate left out), "
        f"{embedded.model}, {embedded.full_dim} dims, k = {args.k}, chance {result.overlap.chance:.4f}"
    )
    say(notes=check.notes)
    table(
        {
            "dim": "{dim}",
            "overlap": "{overlap:.4f}",
            "95 % interval": "[{overlap_low:.4f}, {overlap_high:.4f}]",
            "top-1": "{top1_agreement:.3f}",
            "drift": "{drift_bias:+.4f}",
            "MAE": "{drift_mae:.4f}",
            "Spearman": "{spearman_per_text:.4f}",
            "energy": "{energy:.4f}",
        },
        result.rows(),
    )
    say(result.overlap.takeaway())
    data = result.to_dict()
    if names != ("prefix",) or learned:
        maps = _learned_arrangements(learned, embedded, dims, args.k, args.seed)
        with progress("controls") as show:
            beside = controls(result, seed=args.seed, arrangements=(*names, *maps), progress=show)
        extra = beside.to_dict()
        data["arrangements"] |= {name: rows for name, rows in extra["arrangements"].items() if name != "prefix"}
        data |= {name: extra[name] for name in ("nestedness", "verdict", "notes")}
        table(
            {"overlap": "{name}"} | {f"{dim}": f"{{at_{dim}:.3f}}" for dim in result.sweep.dims},
            [
                {"name": name} | {f"at_{row['dim']}": row["overlap"] for row in rows}
                for name, rows in data["arrangements"].items()
            ],
        )
        say(beside.takeaway(), notes=extra["notes"])
    write_json(args.json, data)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from mrl_viz.tasks.evaluation import evaluate, searched_in
    from mrl_viz.tasks.languages import by_language, languages_of
    from mrl_viz.truncation import parse_dims

    if args.api_short is not None:
        return _api_short(args)
    if args.long_tail is not None or args.changed is not None:
        return _hard_case(args)
    if args.twin is not None:
        raise InvalidInputError("`--twin` is compared with by --long-tail or --changed; add one of them.")
    fusion_k = fusion_k_of(args)
    corpus = read_source(args)
    embedded = embed_source(args, corpus)
    dims = parse_dims(args.dims, embedded.full_dim, embedded.matryoshka_dims)
    if args.arrangement is not None:
        embedded = searched_in(embedded, args.arrangement, task=args.task)
    with progress("evaluating") as show:
        quality = evaluate(
            embedded, dims=dims, task=args.task, binary_qrels=args.binary_qrels, fusion_k=fusion_k, seed=args.seed,
            progress=show,
        )  # fmt: skip
    say(f"{quality.task} with {embedded.model}, {corpus.n_items} texts")
    _quality_table({"metric": "{metric}"}, quality.rows())
    say(quality.takeaway(), notes=quality.notes)
    data = quality.to_dict()
    if quality.task == "pairs" and len(languages_of(corpus)) > 1:
        try:
            found = by_language(embedded, dims=dims, seed=args.seed)
        except InvalidInputError as error:
            say(notes=[str(error)])
        else:
            _quality_table({"metric": "{metric}", "from": "{from}", "language": "{language}"}, found.rows())
            say(found.takeaway(), notes=found.notes)
            data["languages"] = found.rows()
    write_json(args.json, data)
    return 0


def _hard_case(args: argparse.Namespace) -> int:
    """Few examples for most classes, or changed texts, beside a plain twin where one is given."""
    from mrl_viz.data.reading import read_corpus
    from mrl_viz.embedding.embedded import embed
    from mrl_viz.tasks.long_tail import long_tail
    from mrl_viz.tasks.robustness import robustness
    from mrl_viz.truncation import parse_dims

    if args.long_tail is not None and args.changed is not None:
        raise InvalidInputError("`--long-tail` and `--changed` are measured one at a time; leave one of them out.")
    corpus = read_source(args)
    embedded = embed_source(args, corpus)
    twin = None
    if args.twin is not None:
        twin = (
            embed_source(args, corpus, model=args.twin) if corpus.embeddings is None else embed(read_corpus(args.twin))
        )
    dims = parse_dims(args.dims, embedded.full_dim, embedded.matryoshka_dims)
    with progress("measuring") as show:
        if args.changed is None:
            tail = long_tail(
                embedded, dims=dims, column=args.long_tail or None, twin=twin, seed=args.seed, progress=show
            )
            rows, said, notes, data = tail.rows(), tail.takeaway(), tail.notes, tail.to_dict()
            columns = {"group": "{group}", "dim": "{dim}", "accuracy": "{value:.4f} [{low:.4f}, {high:.4f}]"}
        else:
            foreign = read_corpus(args.foreign) if args.changed == "another domain" else None
            found = robustness(
                embedded, args.changed, dims=dims, task=args.task, twin=twin, foreign=foreign, seed=args.seed,
                progress=show,
            )  # fmt: skip
            rows, said, notes, data = found.rows(), found.takeaway(), found.notes, found.to_dict()
            columns = {"model": "{model}", "dim": "{dim}", "found": "{found:.4f} [{found_low:.4f}, {found_high:.4f}]"}
            if found.metric:
                columns[f"{found.metric} kept"] = "{share}"
                rows = [row | {"share": "-" if row["kept"] is None else f"{row['kept']:.1%}"} for row in rows]
    table(columns, rows)
    say(said, notes=notes)
    write_json(args.json, data)
    return 0


def _api_short(args: argparse.Namespace) -> int:
    """Recorded short vectors of an API against the full ones of its model, cut here."""
    from mrl_viz.data.reading import read_corpus
    from mrl_viz.measures.anatomy import short_vectors_over_texts
    from mrl_viz.truncation import truncate_and_normalize

    recorded = read_corpus(args.api_short).embeddings
    if recorded is None:
        raise InvalidInputError(f"`--api-short` is {args.api_short!r}, which holds no vectors; give a .npy file.")
    embedded = embed_source(args, read_source(args), with_queries=False)
    local = truncate_and_normalize(embedded.matrix, recorded.shape[1])
    found = short_vectors_over_texts(recorded, local, origin=f"recorded in {args.api_short}", seed=args.seed)
    say(found.takeaway())
    write_json(args.json, found.to_dict())
    return 0


def _quality_table(first: dict[str, str], rows: list[dict[str, Any]]) -> None:
    """Records of metric curves, after the columns that tell them apart."""
    columns = {
        "dim": "{dim}", "value": "{value:.4f}", "95 % interval": "[{low:.4f}, {high:.4f}]", "retention": "{share}",
        "p (Holm)": "{p_holm:.4f}",
    }  # fmt: skip
    shares = ("-" if row["retention"] is None else f"{row['retention']:.1%}" for row in rows)
    table(first | columns, [row | {"share": share} for row, share in zip(rows, shares)])


def _embed(args: argparse.Namespace) -> int:
    import numpy as np

    from mrl_viz.truncation import truncate_and_normalize

    if args.out.rstrip("/").endswith(".zarr"):
        return scale.embed_rows(args)
    if not args.out.endswith((".npy", ".npz")):
        raise InvalidInputError(f"`--out` is {args.out!r}; give a name that ends in .npy, .npz or .zarr.")
    if args.shard or args.dtype != "float32":
        raise InvalidInputError("`--shard` and `--dtype` are of arrays on a disk; let --out end in .zarr.")
    corpus = read_source(args)
    embedded = embed_source(args, corpus, with_queries=False)
    matrix = embedded.matrix if args.dim is None else truncate_and_normalize(embedded.matrix, args.dim)
    vectors = matrix.astype(np.float32)
    if args.out.endswith(".npz"):
        named = {"texts": np.array(corpus.texts), "ids": np.array(corpus.ids)}
        np.savez(args.out, allow_pickle=False, embeddings=vectors, **named)
    else:
        np.save(args.out, vectors, allow_pickle=False)
    n_items, dim = matrix.shape
    say(f"{n_items} vectors of {dim} coordinates in {args.out} ({embedded.seconds:.2f} s)")
    about = {"model": embedded.model_dict(), "corpus": corpus.check.to_dict() | {"fingerprint": corpus.fingerprint}}
    rest = {"ids": list(corpus.ids), "seconds": {"embed": embedded.seconds}}
    write_json(args.json, {"schema": 1, "file": args.out, "n_items": n_items, "dim": dim, **about, **rest})
    return 0


def _models(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from mrl_viz.embedding.catalogue import CATALOGUE, is_available

    cards = [asdict(card) | {"available": is_available(card)} for card in CATALOGUE.values()]
    table(
        {
            "name": "{name}",
            "dims": "{full_dim}",
            "trained widths": "{trained}",
            "licence": "{licence}",
            "MB": "{size_mb:.0f}",
            "here": "{here}",
        },
        (
            {**card, "trained": ", ".join(map(str, card["matryoshka_dims"] or ("not Matryoshka",)))}
            | {"here": "yes" if card["available"] else "no"}
            for card in cards
        ),
    )
    write_json(args.json, {"schema": 1, "models": cards})
    return 0
