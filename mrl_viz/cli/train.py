"""The verb that learns: `adapt`, a map that makes frozen vectors truncatable."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrl_viz.cli.arguments import add_verb, embed_source, read_source
from mrl_viz.cli.printing import progress, say, table, write_json
from mrl_viz.errors import InvalidInputError

if TYPE_CHECKING:
    from mrl_viz.adaptor.report import AdaptorFit
    from mrl_viz.embedding.embedded import Embedded


def add_verbs(verbs: Any) -> None:
    """Add the verb to the parser's."""
    adapt = add_verb(
        verbs, "adapt", _adapt, "learn a map that makes a frozen model's vectors truncatable",
        dims="widths below the full one, such as 8,16,32 (default: powers of two)",
        seed="the split, the weights and the batches",
    )  # fmt: skip
    adapt.add_argument(
        "--method", default="neighbors", choices=("neighbors", "paper", "search", "svd"),
        help="neighbors (default), paper (Matryoshka-Adaptor), search (Search-Adaptor, needs judgements), svd",
    )  # fmt: skip
    adapt.add_argument(
        "--supervised", action="store_true", help="also learn from the data's relevance judgements (implied by --qrels)"
    )
    adapt.add_argument(
        "--out", required=True, metavar="FOLDER", help="where the adaptor goes: safetensors, settings, card"
    )
    adapt.add_argument(
        "--model-out", metavar="FOLDER", help="also save the sentence-transformers model with the adaptor inside"
    )


def _adapt(args: argparse.Namespace) -> int:
    from mrl_viz.adaptor.fit import fit_adaptor, suggested_settings
    from mrl_viz.truncation import parse_dims

    is_supervised = args.supervised or args.qrels or args.method == "search"
    corpus = read_source(args)
    qrels = corpus.judgements_by_row() if is_supervised else None
    embedded = embed_source(args, corpus, with_queries=bool(is_supervised))
    dims = parse_dims(args.dims, embedded.full_dim)
    if not args.dims.strip():
        dims = tuple(dim for dim in dims if dim < embedded.full_dim)
    with progress("fitting") as show:
        fit = fit_adaptor(
            embedded.matrix, dims, method=args.method, queries=embedded.queries if qrels else None, qrels=qrels,
            settings=suggested_settings(len(embedded.matrix), args.method), seed=args.seed,
            model=None if corpus.embeddings is not None else embedded.model,
            progress=(lambda done, total, _: show(done, total)) if show else None,
        )  # fmt: skip
    _print_fit(fit, embedded)
    card = fit.card()
    say(f"adaptor in {fit.adaptor.save(args.out, card=card)}")
    if args.model_out:
        say(f"model with the adaptor inside in {_save_model(args, fit, card)}")
    write_json(args.json, {"schema": 1, "folder": args.out, "model_folder": args.model_out, **fit.to_dict()})
    return 0


def _save_model(args: argparse.Namespace, fit: AdaptorFit, card: str) -> Path:
    from mrl_viz.adaptor.model_folder import save_sentence_transformer
    from mrl_viz.embedding.encoders import load_encoder
    from mrl_viz.embedding.encoders.sentence_transformers import as_sentence_transformer

    if fit.adaptor.model is None:
        raise InvalidInputError("`--model-out` needs a model, and the source holds ready vectors; leave it out.")
    encoder = as_sentence_transformer(load_encoder(args.model, trust_remote_code=args.trust_remote_code))
    if encoder is None:
        raise InvalidInputError(
            f"`--model-out` needs a sentence-transformers model, which {args.model} is not; leave it out."
        )
    prompts = {"query": encoder.query_prompt, "document": encoder.document_prompt}
    return save_sentence_transformer(
        fit.adaptor, encoder.model, args.model_out, pre_truncation=encoder.pre_truncation,
        prompts={name: text for name, text in prompts.items() if text}, card=card,
    )  # fmt: skip


def _print_fit(fit: AdaptorFit, embedded: Embedded) -> None:
    held_out = f"{fit.n_held_out} texts" + (f" and {fit.n_held_out_queries} queries" if fit.n_held_out_queries else "")
    say(
        f"{fit.adaptor.method} adaptor of {embedded.model}, {fit.adaptor.full_dim} dims: fitted on {fit.n_train} texts "
        f"in {fit.seconds:.1f} s (ended: {fit.stopped}); {fit.measure} on {held_out} held out"
    )
    own = fit.quality("adaptor")
    maps = {name: fit.measured(name) for name in ("prefix", "svd", "adaptor")}
    training = own.ndcg_train if fit.n_held_out_queries else own.overlap_train
    table(
        {
            "dim": "{dim}",
            "raw prefix": "{prefix:.4f}",
            "SVD": "{svd:.4f}",
            "adaptor": "{adaptor:.4f}",
            "95 % interval": "[{adaptor_low:.4f}, {adaptor_high:.4f}]",
            "training": "{training:.4f}",
            "against SVD": "{gain_over_svd:+.4f} {verdict}",
        },
        fit.records("gain_over_svd", **maps, training=training, verdict=fit.verdicts()),
    )
    if weights := fit.weights_takeaway():
        say(weights)
    say(fit.takeaway())
