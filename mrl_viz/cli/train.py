"""The verbs that learn: `adapt`, a map that makes frozen vectors truncatable; `train`, a nested loss and its twin."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrl_viz.cli.arguments import add_verb, embed_source, read_source
from mrl_viz.cli.printing import progress, say, table, write_json
from mrl_viz.errors import InvalidInputError

if TYPE_CHECKING:
    from mrl_viz.adaptor.report import AdaptorFit
    from mrl_viz.embedding.embedded import Embedded


def add_verbs(verbs: Any) -> None:
    """Add the verbs to the parser's."""
    _add_train(verbs)
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


def _add_train(verbs: Any) -> None:
    from mrl_viz.training.config import BASES, SCHEDULES, TrainingConfig
    from mrl_viz.training.data import SOURCES

    train = add_verb(
        verbs, "train", _train, "train a Matryoshka model and its plain twin, and compare them on what is held out",
        has_queries=True, dims="widths of the loss, such as 8,16,32 (default: powers of two)",
        seed="the start, the batches and the intervals",
    )  # fmt: skip
    train.add_argument(
        "--by", choices=SOURCES, help="what says which texts are alike: labels, judgements, scores of pairs, or the "
        "pairs scored highest (default: the first that the data have)",
    )  # fmt: skip
    train.add_argument("--language", metavar="L", help="of scored pairs in several languages, only those of one")
    train.add_argument("--base", choices=BASES, default=BASES[0], help=f"what is trained (default {BASES[0]})")
    train.add_argument(
        "--weights", default="uniform", help="uniform, importance (alpha^i), boost (2, 1, 1 …), or one number per width"
    )
    train.add_argument("--alpha", type=float, default=TrainingConfig.alpha, help="of --weights importance")
    train.add_argument("--schedule", choices=SCHEDULES, default=SCHEDULES[0], help="which widths a step trains")
    train.add_argument("--widths-a-step", type=int, default=TrainingConfig.n_dims_per_step, metavar="N",
                       help="of --schedule sampled")  # fmt: skip
    train.add_argument("--epochs", type=int, default=12, help="default 12, as on the page")
    train.add_argument("--batch-size", type=int, default=TrainingConfig.batch_size, help="default 32")
    train.add_argument("--alone", action="store_true", help="also train a model for each width alone, to compare with")
    train.add_argument("--out", required=True, metavar="FOLDER", help="where both models and the comparison go")
    train.add_argument(
        "--lay-over", action="append", default=[], metavar="FOLDER",
        help="an earlier --out folder of the same held-out items, to compare with; once for each",
    )  # fmt: skip


def _train(args: argparse.Namespace) -> int:
    from mrl_viz.embedding.encoders import load_encoder
    from mrl_viz.training.config import TrainingConfig, check_config
    from mrl_viz.training.data import training_data
    from mrl_viz.training.overlay import against_alone, lay_over_runs
    from mrl_viz.training.twins import load_twin_run, small_dim, train_twins
    from mrl_viz.truncation import parse_dims

    earlier = [load_twin_run(folder) for folder in args.lay_over]
    data = training_data(
        read_source(args), source=args.by, label_column=args.label_column, language=args.language, seed=args.seed
    )
    model = load_encoder(args.model, trust_remote_code=args.trust_remote_code)
    config = TrainingConfig(
        model=args.model, base=args.base, schedule=args.schedule, n_dims_per_step=args.widths_a_step,
        dims=parse_dims(args.dims, model.full_dim) if args.dims.strip() else (), weights=_weights(args.weights),
        alpha=args.alpha, epochs=args.epochs, batch_size=args.batch_size, seed=args.seed,
    )  # fmt: skip
    dims = check_config(config, model.full_dim)
    if args.alone:
        config = replace(config, alone=tuple(sorted({*dims[:-1], small_dim(model.full_dim)})))
    say(data.takeaway(), notes=data.notes)
    done = 0
    with progress("training") as show:

        def report(_: object) -> None:
            nonlocal done
            done += 1
            if show is not None:
                show(done, config.n_models * config.epochs)

        run = train_twins(model, data, config, args.out, progress=report)
    comparison = run.comparison
    table(
        {
            "dim": "{dim}",
            "Matryoshka": "{matryoshka:.4f}",
            "plain twin": "{plain:.4f}",
            "gain": "{gain:+.4f}",
            "95 % interval": "[{gain_low:+.4f}, {gain_high:+.4f}] {verdict}",
        },
        comparison.rows(),
    )
    say(run.takeaway())
    say(comparison.kept_takeaway())
    values = [one.values for one in (run, *earlier) if one.values is not None]
    overlays = {"alone": against_alone(values[0])} if config.alone else {}
    if len(values) > 1:
        overlays["laid_over"] = lay_over_runs(values)
    for overlay in overlays.values():
        say(overlay.takeaway())
    say(f"models in {run.model_folder()} and {run.model_folder('plain')}")
    found = {name: overlay.to_dict() for name, overlay in overlays.items()}
    write_json(args.json, {"schema": 1, "folder": args.out, **run.to_dict(), **found})
    return 0


def _weights(text: str) -> Any:
    """A name, or one number per width; what is neither is refused with the settings."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        return text


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
