"""What measures each claim again, on data that come with the project, and compares it as the claim's rule says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mrl_viz.analysis import analyse, controls
from mrl_viz.arrangements import random_arrangements
from mrl_viz.claims.claim import Claim, Finding, Part
from mrl_viz.data.reading import read_corpus
from mrl_viz.data.samples import PLAIN_TWINS, sample_data_folder
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.errors import EmptyInputError
from mrl_viz.measures.estimate import N_RESAMPLES, Estimate, bootstrap, paired_bootstrap, share_difference
from mrl_viz.retrieval.cost import funnel_cost
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.results import recall_vs_full
from mrl_viz.retrieval.shortlist import shortlist_curve, shortlist_search
from mrl_viz.sweep.machine import single_threaded_blas
from mrl_viz.tasks import long_tail as tails
from mrl_viz.tasks.between import between_widths
from mrl_viz.tasks.classes import logistic_correct
from mrl_viz.tasks.evaluation import searched_in
from mrl_viz.tasks.long_tail import MOST_SHOTS, TAIL, long_tail_values, zipf_shots
from mrl_viz.tasks.robustness import MISSPELT, robustness
from mrl_viz.tasks.task import find_task
from mrl_viz.truncation import FloatMatrix, Floats

if TYPE_CHECKING:
    from mrl_viz.heads.adaptive import AdaptiveClassification
    from mrl_viz.training.data import TrainingData

MATRYOSHKA, PLAIN = "wordllama", "all-MiniLM-L6-v2"
K, SEED = 10, 0
# Vectors made up for the clock: as many numbers as the claims speak of, variance falling along the index, in clusters.
N_TIMED, TIMED_DIM, DECAY, CLUSTER_SIZE = 100_000, 768, 0.35, 50
TIMED_RUNS = 100
# What a shortlist may lose and still be "the same accuracy": of the full width's neighbors, or of its nDCG@10.
SAME_NEIGHBORS, SAME_NDCG = 0.99, 0.995
SIZES = (10, 20, 40, 80, 160, 320, 640)
# Of what is not above 0, a share means nothing.
NOTHING = Estimate(0, 0, 0)
# How often words are misspelt, and examples drawn.
TYPING_DRAWS, TAIL_DRAWS = 10, 30
TWIN_EPOCHS = 12  # as on the page


@dataclass(frozen=True)
class Measured:
    """The parts of a finding, what they were measured on, and a note."""

    parts: tuple[Part, ...]
    on: str
    note: str = ""


def measure(claim: Claim) -> Finding:
    """Measure one claim again.

    Raises
    ------
    EmptyInputError : nothing measures it.
    """
    if not claim.measure:
        raise EmptyInputError(f"`{claim.id}` is not measured here: {claim.why}")
    started = time.perf_counter()
    found = MEASURES[claim.measure]()
    seconds = round(time.perf_counter() - started, 1)
    return Finding(claim.id, found.parts, found.on, found.note, datetime.now(UTC).date().isoformat(), seconds)


@lru_cache(maxsize=4)
def _sample(model: str) -> Embedded:
    return embed(read_corpus("sample"), model)


@lru_cache(maxsize=2)
def _pairs() -> Embedded:
    return embed(read_corpus(sample_data_folder() / "pairs.csv"), MATRYOSHKA)


def _values(embedded: Embedded, dims: Sequence[int], task: str = "retrieval", column: str | None = None) -> Floats:
    """What every query, pair or text is worth at every width, (n_dims, n_judged)."""
    judge = find_task(embedded, task, column=column)
    return judge.measure(embedded.matrix, judge.asking(embedded), dims)


def _kept(values: Floats) -> list[Estimate]:
    """The share of the last row that each other row keeps."""
    shares = [found.retention for found in paired_bootstrap(values, seed=SEED)[:-1]]
    return [share or NOTHING for share in shares]


def _about(embedded: Embedded) -> str:
    return (
        f"{embedded.model}, the sample's {embedded.corpus.n_items:,} texts and {len(embedded.corpus.query_ids)} queries"
    )


def _kept_part(what: str, dim: int, full_dim: int, theirs: float, ours: Estimate) -> Part:
    return Part(f"{what} kept at {dim} of {full_dim} dims", theirs, ours, short=f"{what} {{}} at {dim}")


def kept_titan() -> Measured:
    """nDCG@10 at half and at a quarter of the width."""
    vectors = _sample(MATRYOSHKA)
    dims, full_dim = (128, 64), vectors.full_dim
    shares = _kept(_values(vectors, (64, 128, full_dim)))[::-1]
    parts = (_kept_part("nDCG@10", dim, full_dim, *pair) for dim, pair in zip(dims, zip((0.99, 0.97), shares)))
    return Measured(tuple(parts), f"{_about(vectors)}: half and a quarter of the width", "Another model, other data.")


def kept_static() -> Measured:
    """nDCG@10 at half, Spearman at a quarter of the width: WordLlama is such a static model."""
    vectors, pairs = _sample(MATRYOSHKA), _pairs()
    full_dim = vectors.full_dim
    (search,) = _kept(_values(vectors, (128, full_dim)))
    (alike,) = _kept(_values(pairs, (64, full_dim), "pairs"))
    return Measured(
        (
            _kept_part("nDCG@10", 128, full_dim, 0.9853, search),
            _kept_part("Spearman", 64, full_dim, 0.9944, alike),
        ),
        f"{_about(vectors)}; {len(pairs.corpus.pairs)} scored pairs",
        "Another static model, trained likewise.",
    )


def kept_wordllama() -> Measured:
    """Spearman, logistic accuracy of the 80 topics and nDCG@10 at a quarter of the width."""
    vectors, pairs = _sample(MATRYOSHKA), _pairs()
    full_dim = vectors.full_dim
    task = find_task(vectors, "classification", column="topic")
    correct, _ = logistic_correct(vectors.matrix[task.rows], task.codes[task.rows], dims=(64, full_dim), seed=SEED)
    (alike,), (named,), (search,) = map(_kept, (
        _values(pairs, (64, full_dim), "pairs"), correct, _values(vectors, (64, full_dim)),
    ))  # fmt: skip
    return Measured(
        (
            _kept_part("Spearman", 64, full_dim, 66.24 / 67.91, alike),
            _kept_part("accuracy of logistic regression", 64, full_dim, 53.14 / 58.21, named),
            _kept_part("nDCG@10", 64, full_dim, 18.76 / 24.12, search),
        ),
        f"{_about(vectors)}, 80 topics; {len(pairs.corpus.pairs)} scored pairs",
        "The same model, other data.",
    )


def kept_shares() -> Measured:
    """nDCG@10 at two thirds and at a twelfth of the width."""
    vectors = _sample(MATRYOSHKA)
    full_dim = vectors.full_dim
    wide, narrow = round(full_dim * 512 / 768), round(full_dim * 64 / 768)
    small, large = _kept(_values(vectors, (narrow, wide, full_dim)))
    parts = (_kept_part("nDCG@10", wide, full_dim, 0.98, large), _kept_part("nDCG@10", narrow, full_dim, 0.87, small))
    return Measured(parts, f"{_about(vectors)}: the same shares of the width")


@lru_cache(maxsize=1)
def _made_up() -> tuple[PrefixIndex, FloatMatrix, FloatMatrix]:
    """An index, and queries to choose by and to time: what a search takes does not depend on what the numbers mean."""
    rng = np.random.default_rng(SEED)
    scale = ((1 + np.arange(TIMED_DIM)) ** -DECAY).astype(np.float32)
    centres = rng.standard_normal((N_TIMED // CLUSTER_SIZE, TIMED_DIM), dtype=np.float32)
    rows = rng.standard_normal((N_TIMED, TIMED_DIM), dtype=np.float32)
    rows *= 0.8
    rows += centres[rng.integers(0, len(centres), N_TIMED)]
    rows *= scale
    near = rows[rng.choice(N_TIMED, 200, replace=False)]
    queries = near + 0.5 * scale * rng.standard_normal(near.shape, dtype=np.float32)
    return PrefixIndex(rows, (32, 64)), queries[:100], queries[100:]


MADE_UP = (
    f"{N_TIMED:,} made-up vectors of {TIMED_DIM} numbers, variance falling along the index; one query at a time, "
    "in one thread, its time on the processor"
)


def _times_faster(slow: Callable[[FloatMatrix], object], fast: Callable[[FloatMatrix], object]) -> Estimate:
    """Ratio of the median times of single queries, taken in turns, with its bootstrap interval.

    One thread's time on the processor: on a machine that does other work as well the clock says little.
    """
    _, _, queries = _made_up()
    taken = np.empty((2, TIMED_RUNS))
    with single_threaded_blas():
        for run in range(-3, TIMED_RUNS):  # the first ones warm up
            for side, search in enumerate((slow, fast)):
                started = time.process_time()
                search(queries[run % len(queries)][None])
                taken[side, run] = time.process_time() - started
    drawn = np.random.default_rng(SEED).integers(0, TIMED_RUNS, (2, N_RESAMPLES, TIMED_RUNS))
    slows, fasts = (np.median(row[draws], axis=1) for row, draws in zip(taken, drawn))
    low, high = np.percentile(slows / fasts, [2.5, 97.5])
    value = float(np.median(taken[0]) / np.median(taken[1]))
    return Estimate(value, min(float(low), value), max(float(high), value))


def faster_prefix() -> Measured:
    """Exact search at 32 of 768 dims against the full width."""
    index, _, _ = _made_up()
    times = _times_faster(lambda row: index.search(row, K), lambda row: index.search(row, K, dim=32))
    part = Part("times faster at 32 of 768 dims", 24, times, "times", short="{} faster")
    return Measured((part,), MADE_UP, "Choosing the ten best takes the same time at every width.")


def faster_shortlist() -> Measured:
    """A shortlist at 64 of 768 dims, as long as 99 % of the neighbors ask for, reranked at full width."""
    index, tuning, queries = _made_up()
    size = shortlist_curve(index, tuning, shortlist_dim=64, k=K, sizes=[K]).smallest_size(SAME_NEIGHBORS)

    def short(row: FloatMatrix) -> object:
        return shortlist_search(index, row, shortlist_dim=64, shortlist_size=size, k=K)

    found = shortlist_search(index, queries, shortlist_dim=64, shortlist_size=size, k=K)
    recall = recall_vs_full(found.indices, index.search(queries, K).indices, seed=SEED).share
    times = _times_faster(lambda row: index.search(row, K), short)
    parts = (
        Part(f"times faster by a shortlist of {size:,} at 64 of 768 dims", 14, times, "times", short="{} faster"),
        Part("of the full width's ten neighbors kept", SAME_NEIGHBORS, recall, short="{} of neighbors"),
    )
    return Measured(parts, MADE_UP, "docs/benchmarks.md has 500,000 such vectors by the clock, with faiss.")


def fewer_multiply_adds() -> Measured:
    """The cheapest shortlist + rerank that loses nothing on half of the queries, judged by the other half."""
    vectors = _sample(MATRYOSHKA)
    task = find_task(vectors, "retrieval")
    asking = task.asking(vectors)[task.rows]
    index = PrefixIndex(vectors.matrix, (8, 16, 32, 64, 128))
    full = task.score(index.search(asking, K).indices[None])[0]
    chosen_by, judged_by = np.arange(len(full)) % 2 == 0, np.arange(len(full)) % 2 == 1
    plans = sorted(
        (funnel_cost(index.n_items, ((dim, size), (index.full_dim, K)), index.full_dim).multiply_adds, dim, size)
        for dim in index.dims[:-1] for size in SIZES
    )  # fmt: skip
    for plan in plans:
        _, dim, size = plan
        found = shortlist_search(index, asking, shortlist_dim=dim, shortlist_size=size, k=K)
        values = task.score(found.indices[None])[0]
        if values[chosen_by].mean() >= SAME_NDCG * full[chosen_by].mean():
            break
    multiply_adds, dim, size = plan
    times = index.n_items * index.full_dim / multiply_adds
    (kept,) = _kept(np.stack([values, full])[:, judged_by])
    counts = Estimate(times, times, times)
    counted = funnel_cost(1_281_167, ((16, 200), (2048, K)), 2048).speedup
    parts = (
        Part(f"times fewer, by a shortlist of {size} at {dim} dims", 128, counts, "times", short="{} fewer"),
        Part("nDCG@10 kept", 1.0, kept, short="nDCG@10 {}"),
    )
    return Measured(
        parts,
        f"{_about(vectors)}, 256 dims",
        f"At most {index.full_dim / 8:.0f} × are to be had from 256 to 8 dims. In their setting, 1.28 million pictures "
        f"and 2,048 dims, the count with the rerank is {counted:.1f} ×.",
    )


@lru_cache(maxsize=1)
def digit_heads() -> AdaptiveClassification:
    """Heads of every kind on scikit-learn's digits, behind a hidden layer."""
    from mrl_viz.data.digits import pixels_and_digits
    from mrl_viz.heads.adaptive import DIGIT_DIMS, DIGIT_HEADS, classify_adaptively

    pixels, digits = pixels_and_digits()
    labels = {"digit": [str(digit) for digit in digits]}
    (found,) = classify_adaptively(pixels, labels, DIGIT_DIMS, training=DIGIT_HEADS, seed=SEED)
    return found


def _about_digits() -> str:
    return f"scikit-learn's digits, 1,797 pictures of 64 numbers, {len(digit_heads().rows)} held out"


def smaller() -> Measured:
    """How many times fewer numbers a cascade reads than the full width, and what accuracy that costs."""
    cascade = digit_heads().cascade()
    parts = (
        Part("times smaller than full width", 14, cascade.saving_full, "times", short="{} smaller"),
        Part("accuracy gained against full width", 0.0, cascade.gain_full, "difference", short="accuracy {}"),
    )
    fixed = cascade.saving_fixed
    return Measured(
        parts,
        _about_digits(),
        f"Against {cascade.fixed_dim} dims, the best fixed width, {fixed:.1f} times. Thresholds were learnt out of "
        f"fold, to lose at most {cascade.rule.loss:.1%}. One split; docs/training.md has five, and other data.",
    )


def as_good_as_alone() -> Measured:
    """Accuracy of nested heads minus that of heads trained alone, mean over all widths."""
    from mrl_viz.data.digits import pixels_and_digits
    from mrl_viz.heads.classifiers import HeadKind, train_heads

    found = digit_heads()
    kinds: tuple[HeadKind, HeadKind] = ("mrl", "separate")
    pixels, digits = pixels_and_digits()
    flat = [train_heads(pixels, digits, found.dims, kind=kind, seed=SEED).correct for kind in kinds]
    (linear,) = bootstrap(flat[0].mean(axis=0) - flat[1].mean(axis=0), seed=SEED)
    gains = found.heads["mrl"].correct.astype(float) - found.heads["separate"].correct
    (mean,) = bootstrap(gains.mean(axis=0), seed=SEED)
    worst = min(zip(found.dims, bootstrap(gains, seed=SEED)), key=lambda pair: pair[1].value)
    return Measured(
        (
            Part(
                f"difference in accuracy, mean of {len(found.dims)} widths",
                0.0,
                mean,
                "difference",
                short="accuracy {}",
            ),
        ),
        _about_digits(),
        f"The worst single width is {worst[0]}: {worst[1]:+.3f}. Behind a linear map instead of a hidden layer the "
        f"mean is {linear:+.3f}. docs/training.md compares models that embed texts.",
    )


def in_between() -> Measured:
    """nDCG@10 at widths nobody trained, against the line between their trained neighbors."""
    vectors = _sample(MATRYOSHKA)
    found = between_widths(vectors, trained=(64, 128, 256), kind="retrieval", seed=SEED)
    dim, worst = min(zip(found.dims, found.deviation), key=lambda pair: pair[1].value)
    mean, what = found.mean_deviation, f"distance of nDCG@10 from the line, mean of {len(found.dims)} widths"
    return Measured(
        (
            Part(what, 0.0, mean, "difference", short="nDCG@10 {}"),
            Part(f"the worst of them, {dim} dims", 0.0, worst, "difference", short="{} at worst"),
        ),
        f"{_about(vectors)}, trained at 64, 128 and 256 dims",
    )


def pca_high() -> Measured:
    """nDCG@10 of the raw vectors minus that of centred PCA at full width, fitted on the texts that are searched."""
    parts, notes = [], []
    for model in (PLAIN, MATRYOSHKA):
        raw = _sample(model)
        dims = (raw.full_dim * 3 // 4, raw.full_dim)
        lost = _values(raw, dims) - _values(searched_in(raw, "centred", task="retrieval"), dims)
        narrow, full = bootstrap(lost, seed=SEED)
        parts.append(
            Part(
                f"{model}, nDCG@10 of raw minus PCA at {dims[1]} dims",
                0.0,
                full,
                "difference",
                "exceeds",
                f"{model} {{}}",
            )
        )
        notes.append(f"{model} at {dims[0]} dims: {narrow:+.3f}")
    return Measured(tuple(parts), f"both models, {_about(raw).split(', ', 1)[1]}", f"{'; '.join(notes)}.")


def first_carry_more() -> Measured:
    """Overlap@10 by the first quarter of the coordinates minus that by as many random ones, ten draws."""
    parts = []
    for model, how in ((MATRYOSHKA, "exceeds"), (PLAIN, "does not exceed")):
        vectors = replace(_sample(model), queries=None)
        dim = vectors.full_dim // 4
        found = controls(analyse(vectors, dims=(dim,), k=K), arrangements=("prefix", "random"), seed=SEED).nestedness
        gap = found.gap[found.dims.index(dim)] if found else Estimate(0, 0, 0)
        what = f"{model}, overlap@{K} gained at {dim} of {vectors.full_dim} dims"
        parts.append(Part(what, 0.0, gap, "difference", how, f"{model} {{}}"))  # type: ignore[arg-type]
    return Measured(tuple(parts), f"the sample's {vectors.corpus.n_items:,} texts among themselves")


def random_half() -> Measured:
    """What half of the coordinates, drawn at random ten times, keep of nDCG@10 and of naming the topic."""
    parts = []
    for model in (MATRYOSHKA, PLAIN):
        raw = _sample(model)
        half, draws = raw.full_dim // 2, random_arrangements(raw.full_dim, seed=SEED)
        for task, column, what in (
            ("retrieval", None, "nDCG@10"),
            ("classification", "topic", "accuracy of neighbors"),
        ):
            full = _values(raw, (raw.full_dim,), task, column)[0]
            halves = [_values(raw.arranged(draw), (half,), task, column)[0] for draw in draws]
            (kept,) = _kept(np.stack([np.mean(halves, axis=0), full]))
            parts.append(Part(f"{model}, {what} kept", 0.9, kept, short=f"{{}} of {model}'s {what}"))
    return Measured(tuple(parts), f"both models, {_about(raw).split(', ', 1)[1]}, 80 topics")


def adaptor_half() -> Measured:
    """nDCG@10 at half of the dims after an adaptor without labels, minus that of the raw full width."""
    from mrl_viz.adaptor.fit import fit_adaptor, suggested_settings

    raw = _sample(PLAIN)
    half = raw.full_dim // 2
    full = _values(raw, (raw.full_dim,))
    settings = suggested_settings(raw.corpus.n_items, "paper")
    learnt = fit_adaptor(raw.matrix, (half // 4, half // 2, half), method="paper", settings=settings, seed=SEED)
    rotated = fit_adaptor(raw.matrix, (half,), method="svd", seed=SEED)
    short = [_values(raw.arranged(fit.adaptor.arrangement()), (half,)) for fit in (learnt, rotated)]
    gain, by_svd, without = bootstrap(np.concatenate([*short, _values(raw, (half,))]) - full, seed=SEED)
    return Measured(
        (Part(f"nDCG@10 at {half} adapted minus {raw.full_dim} raw", 0.0, gain, "difference", short="nDCG@10 {}"),),
        _about(raw),
        f"Merely cut to {half} dims: {without:+.3f}; rotated by an SVD and cut: {by_svd:+.3f}. Of what the adaptor "
        f"learnt, its validation rows kept {learnt.strength:.0%}.",
    )


def adaptor_sixth() -> Measured:
    """The same at a sixth, learnt from the judgements of half of the topics and judged by the others' queries."""
    from mrl_viz.adaptor.fit import fit_adaptor, suggested_settings

    raw = _sample(PLAIN)
    sixth = raw.full_dim // 6
    judged, topic_of = raw.corpus.judgements_by_row(), raw.corpus.labels["topic"]
    topics = sorted(set(topic_of), key=str)
    # Both queries of a topic are in one half: each would teach what answers the other.
    is_taught = {
        query: topics.index(topic_of[max(grades, key=grades.__getitem__)]) % 2 == 0 for query, grades in judged.items()
    }
    fit = fit_adaptor(
        raw.matrix, (sixth // 2, sixth, 2 * sixth), method="paper", queries=raw.queries,
        qrels={query: grades for query, grades in judged.items() if is_taught[query]},
        settings=suggested_settings(raw.corpus.n_items, "paper"), seed=SEED,
    )  # fmt: skip
    new = [not is_taught[int(query)] for query in find_task(raw, "retrieval").rows]
    adapted, cut = _values(raw.arranged(fit.adaptor.arrangement()), (sixth,)), _values(raw, (sixth,))
    gain, without = bootstrap((np.concatenate([adapted, cut]) - _values(raw, (raw.full_dim,)))[:, new], seed=SEED)
    return Measured(
        (Part(f"nDCG@10 at {sixth} adapted minus {raw.full_dim} raw", 0.0, gain, "difference", short="nDCG@10 {}"),),
        f"{_about(raw)}, learnt from those of one half of the topics, judged by the {sum(new)} of the other",
        f"Merely cut to {sixth} dims: {without:+.3f}. Of what the adaptor learnt, validation kept {fit.strength:.0%}.",
    )


@lru_cache(maxsize=1)
def _training_data() -> TrainingData:
    from mrl_viz.training.data import training_data

    return training_data(read_corpus("sample"), source="labels", label_column="domain", split="texts", seed=SEED)


@lru_cache(maxsize=1)
def _twins() -> dict[str, Callable[[Sequence[str]], FloatMatrix]]:
    """A Matryoshka model and its plain twin, trained on the sample's domains; each encodes texts."""
    from mrl_viz.embedding.encoders import load_encoder
    from mrl_viz.training.config import RUNS, TrainingConfig
    from mrl_viz.training.loop import train_contrastive, trainable

    start = load_encoder(MATRYOSHKA)
    config = TrainingConfig(model=MATRYOSHKA, epochs=TWIN_EPOCHS, seed=SEED)
    base = trainable(start)
    trained = {run: train_contrastive(start, _training_data(), config, run=run).model for run in RUNS}
    return {run: replace(base, model=model, pre_truncation="none").encode for run, model in trained.items()}


TWINS = "WordLlama with a projection trained on the sample's ten domains, nested and plain"


@lru_cache(maxsize=1)
def _pairs_by_twins() -> dict[str, Embedded]:
    """The scored pairs by each of the twins."""
    return {run: embed(_pairs().corpus, encode) for run, encode in _twins().items()}


def _values_by_folds(dims: Sequence[int]) -> dict[str, Floats]:
    """Of WordLlama with a projection that learnt the scores of one half of the pairs: what the other half's pairs are
    worth, both ways round, (n_dims, n_pairs) by run.
    """
    from mrl_viz.embedding.encoders import load_encoder
    from mrl_viz.training.config import RUNS, TrainingConfig
    from mrl_viz.training.data import training_data
    from mrl_viz.training.loop import train_contrastive, trainable
    from mrl_viz.training.twins import held_out_task

    start = trainable(load_encoder(MATRYOSHKA))
    config = TrainingConfig(model=MATRYOSHKA, epochs=TWIN_EPOCHS, seed=SEED)
    one = training_data(_pairs().corpus, source="scores", held_out_share=0.5, seed=SEED)
    n = len(one.train)
    other = replace(one, train=one.held_out, held_out=one.train, scores=(*one.scores[n:], *one.scores[:n]))
    found: dict[str, list[Floats]] = {run: [] for run in RUNS}
    for data in (one, other):
        for run in RUNS:
            model = train_contrastive(start, data, config, run=run).model
            rows = replace(start, model=model, pre_truncation="none").encode(data.texts)
            found[run].append(held_out_task(data).measure(rows, rows, dims))
    return {run: np.concatenate(values, axis=1) for run, values in found.items()}


def kept_by_twins() -> Measured:
    """Spearman on scored pairs at 8.3 % of the width, of each twin's own full width; both learnt from other pairs."""
    from mrl_viz.training.twins import held_out_task

    values = _values_by_folds((21, 256))
    (nested,), (plain,) = _kept(values["matryoshka"]), _kept(values["plain"])
    more = share_difference(*values["matryoshka"], *values["plain"], seed=SEED) or NOTHING
    parts = (
        _kept_part("Spearman of the Matryoshka model", 21, 256, 0.9837, nested),
        Part("more than its plain twin", 0.0, more, "difference", "exceeds", "{} to the twin"),
    )
    full = {run: value[1].mean() for run, value in values.items()}
    task = held_out_task(_training_data())
    named = {}
    for run, encode in _twins().items():
        rows = encode(_training_data().texts)
        (named[run],) = _kept(task.measure(rows, rows, (21, 256)))
    note = (
        f"The plain twin keeps {plain:.1%}. At full width Spearman is {full['matryoshka']:.3f} and "
        f"{full['plain']:.3f}. Other models and more splits: docs/training.md. Twins that learn to name a text's "
        f"domain keep, of the accuracy on {task.n_judged} texts held out, {named['matryoshka']:.1%} (Matryoshka) and "
        f"{named['plain']:.1%} (plain)."
    )
    n_pairs = values["plain"].shape[1]
    on = f"WordLlama with a projection that learnt the scores of half of {n_pairs} pairs (CoSENT), nested and plain"
    return Measured(parts, f"{on}, judged on the other half, both ways round", note)


def as_robust() -> Measured:
    """What typing errors leave of Spearman at full width, the Matryoshka model's share minus its twin's."""
    twins = _pairs_by_twins()
    found = robustness(
        twins["matryoshka"], "typos", dims=(256,), task="pairs", twin=twins["plain"], n_draws=TYPING_DRAWS, seed=SEED
    )
    difference = found.kept_gain[0] or NOTHING
    nested, plain = (one.kept[0] or NOTHING for one in found.models.values())
    return Measured(
        (Part("difference in the share of Spearman kept", 0.0, difference, "difference", short="Spearman {}"),),
        f"{TWINS}; {len(_pairs().corpus.pairs)} scored pairs, {MISSPELT:.0%} of the longer words of one side misspelt, "
        f"mean of {TYPING_DRAWS} draws",
        f"With the errors the Matryoshka model keeps {nested:.1%}, its plain twin {plain:.1%}.",
    )


def long_tail() -> Measured:
    """Accuracy by the nearest mean in classes with one example, the Matryoshka model minus its twin, full width."""
    corpus = _sample(MATRYOSHKA).corpus
    names, codes = np.unique(np.array(corpus.labels["topic"], dtype=str), return_inverse=True)
    shots, right = zipf_shots(len(names), MOST_SHOTS), {}
    for run, encode in _twins().items():
        rows = encode(corpus.texts)
        after, _ = long_tail_values(
            rows, codes.astype(np.int64), dims=rows.shape[1:], shots=shots, n_draws=TAIL_DRAWS, seed=SEED
        )
        right[run] = after[TAIL][0]
    (gain,) = bootstrap(right["matryoshka"] - right["plain"], seed=SEED)
    named, by_plain = right["matryoshka"].mean(), right["plain"].mean()
    digits, plain = (embed(read_corpus(word)) for word in next(iter(PLAIN_TWINS.items())))
    pictures = tails.long_tail(digits, dims=(), twin=plain, seed=SEED)
    return Measured(
        (Part("accuracy gained in classes with one example", 0.02, gain, "difference", short="accuracy {}"),),
        f"{TWINS}; its 80 topics, which they were not trained to tell apart, with 12, 6, 4, 3, 2 … 1 examples",
        f"The Matryoshka model names {named:.1%} right, its plain twin {by_plain:.1%}. On the digits, whose embeddings "
        f"were trained to tell just these classes apart, the gain on {pictures.curves[TAIL].n_items} held-out pictures "
        f"is {pictures.gain[TAIL][-1]:+.3f}.",
    )


MEASURES: Mapping[str, Callable[[], Measured]] = {
    one.__name__: one
    for one in (
        kept_titan, kept_static, kept_wordllama, kept_shares, faster_prefix, faster_shortlist, fewer_multiply_adds,
        smaller, as_good_as_alone, in_between, pca_high, first_carry_more, random_half, adaptor_half, adaptor_sixth,
        kept_by_twins, as_robust, long_tail,
    )
}  # fmt: skip
