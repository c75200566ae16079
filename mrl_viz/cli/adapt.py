"""The verb `adapt`: learn a map that makes frozen vectors truncatable; and how `sweep` is given such a map."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mrl_viz.errors import EmptyInputError, InvalidInputError

if TYPE_CHECKING:
    from mrl_viz.adaptor.fit import AdaptorFit, Qrels
    from mrl_viz.arrangements import LearnedMap
    from mrl_viz.embedding.embedded import Embedded

ADAPTOR_PREFIX, IMPORTANCE = "adaptor:", "importance"
AddSource = Callable[[argparse.ArgumentParser], None]


def add_adapt(verbs: Any, add_source: AddSource) -> None:
    """Add the verb to the parser's; `add_source` gives it the arguments that all share."""
    adapt = verbs.add_parser("adapt", help="learn a map that makes a frozen model's vectors truncatable")
    add_source(adapt)
    adapt.add_argument("--dims", default="", help="widths below the full one, such as 8,16,32 (default: powers of two)")
    adapt.add_argument(
        "--method", default="neighbors", choices=("neighbors", "paper", "search", "svd"),
        help="neighbors (default), paper (Matryoshka-Adaptor), search (Search-Adaptor, needs --qrels), svd",
    )  # fmt: skip
    adapt.add_argument(
        "--qrels", action="store_true", help="also learn from the data's relevance judgements (a BEIR folder)"
    )
    adapt.add_argument(
        "--out", required=True, metavar="FOLDER", help="where the adaptor goes: safetensors, settings, card"
    )
    adapt.add_argument(
        "--model-out", metavar="FOLDER", help="also save the sentence-transformers model with the adaptor inside"
    )
    adapt.add_argument("--seed", type=int, default=0, help="of the split, the weights and the batches (default 0)")
    adapt.set_defaults(verb=_adapt)


def split_arrangements(text: str) -> tuple[list[str], list[str]]:
    """The plain names and what is learnt, folders or "importance", of a list such as `prefix,svd,importance,adaptor:FOLDER`.

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


def learned_maps(
    wanted: Sequence[str], embedded: Embedded, dims: Sequence[int], k: int, seed: int
) -> dict[str, LearnedMap]:
    """The maps of some adaptor folders, and the order of coordinates learnt here for "importance", by the name of their line.

    Raises
    ------
    DataFormatError, ShapeError, InvalidInputError : no adaptor, or one for other vectors.
    EmptyInputError : too few texts to learn an order from. DimensionError : no width below the full one.
    """
    from mrl_viz.adaptor.adaptor import Adaptor
    from mrl_viz.adaptor.importance import learn_importance

    model = None if embedded.corpus.embeddings is not None else embedded.model
    folders = [name for name in wanted if name != IMPORTANCE]
    maps: dict[str, LearnedMap] = {
        "adaptor" if len(folders) == 1 else f"{ADAPTOR_PREFIX}{folder}": Adaptor.load(
            folder, full_dim=embedded.full_dim, model=model
        )
        for folder in folders
    }
    if IMPORTANCE in wanted:
        narrow = [dim for dim in dims if dim < embedded.full_dim]
        maps[IMPORTANCE] = learn_importance(embedded.matrix, narrow, k=k, seed=seed)
    return maps


def judgements_by_row(embedded: Embedded) -> Qrels:
    """The corpus' judgements by the rows of its queries and texts.

    Raises
    ------
    EmptyInputError : it has none.
    """
    source = embedded.corpus
    if not source.qrels or embedded.queries is None:
        raise EmptyInputError(f"`{source.name}` has no relevance judgements; give a BEIR folder, or leave --qrels out.")
    row_of = {identifier: row for row, identifier in enumerate(source.ids)}
    return {
        place: {row_of[document]: grade for document, grade in source.qrels.get(query, {}).items()}
        for place, query in enumerate(source.query_ids)
    }


def _adapt(args: argparse.Namespace) -> int:
    from mrl_viz.adaptor.adaptor import one_thread
    from mrl_viz.adaptor.fit import fit_adaptor, suggested_settings
    from mrl_viz.adaptor.folder import adaptor_card
    from mrl_viz.cli.main import progress_bar, read_source, write_json
    from mrl_viz.embedding.embedded import embed
    from mrl_viz.truncation import parse_dims

    needs_judgements = args.qrels or args.method == "search"
    corpus = read_source(args)
    embedded = embed(
        corpus, args.model, queries=None if needs_judgements else (), trust_remote_code=args.trust_remote_code,
        progress=progress_bar("embedding"),
    )  # fmt: skip
    qrels = judgements_by_row(embedded) if needs_judgements else None
    dims = parse_dims(args.dims, embedded.full_dim)
    if not args.dims.strip():
        dims = tuple(dim for dim in dims if dim < embedded.full_dim)
    settings = suggested_settings(len(embedded.matrix), args.method)
    bar = progress_bar("fitting")
    with one_thread():
        fit = fit_adaptor(
            embedded.matrix, dims, method=args.method, queries=embedded.queries if qrels else None, qrels=qrels,
            settings=settings, model=None if corpus.embeddings is not None else embedded.model, seed=args.seed,
            progress=lambda done, total, _: bar(done, total),
        )  # fmt: skip
    _print_fit(fit, embedded)
    card = adaptor_card(fit.adaptor, fit)
    print(f"adaptor in {fit.adaptor.save(args.out, card=card)}")
    if args.model_out:
        print(f"model with the adaptor inside in {_save_model(args, fit, card)}")
    write_json(args.json, {"schema": 1, "folder": args.out, "model_folder": args.model_out, **fit.to_dict()})
    return 0


def _save_model(args: argparse.Namespace, fit: AdaptorFit, card: str) -> Any:
    from mrl_viz.adaptor.folder import save_sentence_transformer
    from mrl_viz.embedding.encoders import load_encoder
    from mrl_viz.embedding.encoders.sentence_transformers import SentenceTransformerEncoder

    if fit.adaptor.model is None:
        raise InvalidInputError("`--model-out` needs a model, and the source holds ready vectors; leave it out.")
    encoder = load_encoder(args.model, trust_remote_code=args.trust_remote_code)
    if not isinstance(encoder, SentenceTransformerEncoder):
        raise InvalidInputError(
            f"`--model-out` needs a sentence-transformers model, which {args.model} is not; leave it out."
        )
    prompts = {"query": encoder.query_prompt, "document": encoder.document_prompt}
    return save_sentence_transformer(
        fit.adaptor, encoder.model, args.model_out, pre_truncation=encoder.pre_truncation,
        prompts={name: text for name, text in prompts.items() if text}, card=card,
    )  # fmt: skip


def _print_fit(fit: AdaptorFit, embedded: Embedded) -> None:
    measure = "ndcg" if fit.n_held_out_queries else "overlap"
    held_out = f"{fit.n_held_out} texts" + (f" and {fit.n_held_out_queries} queries" if fit.n_held_out_queries else "")
    print(
        f"{fit.adaptor.method} adaptor of {embedded.model}, {fit.adaptor.full_dim} dims: fitted on {fit.n_train} texts in "
        f"{fit.seconds:.1f} s (ended: {fit.stopped}); {fit.measure} on {held_out} held out"
    )
    print(
        f"{'dim':>6} {'raw prefix':>10} {'SVD':>8} {'adaptor':>8} {'95 % interval':>17} {'training':>9} {'against SVD':>20}"
    )
    raw, svd, own = (fit.quality(name) for name in ("prefix", "svd", "adaptor"))
    values, low, high, train = (getattr(own, f"{measure}{part}") for part in ("", "_low", "_high", "_train"))
    for level, (dim, verdict) in enumerate(zip(fit.dims, fit.verdicts())):
        gain = f"{fit.gain_over_svd[level][0]:+.4f} {verdict}"
        print(
            f"{dim:6d} {getattr(raw, measure)[level]:10.4f} {getattr(svd, measure)[level]:8.4f} {values[level]:8.4f} "
            f"[{low[level]:.4f}, {high[level]:.4f}] {train[level]:9.4f} {gain:>20}"
        )
    print(fit.takeaway())
