"""Why a live index answers otherwise than its plan: what its vectors, scores and ids say, a mark for each cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mrl_viz.result import Result
from mrl_viz.retrieval.codes import bits
from mrl_viz.retrieval.plan import Plan
from mrl_viz.truncation import Floats

# In this order: the first explains what follows.
CAUSES = (
    "wrong width", "other vectors", "rows missing", "rows more than once", "stale rows", "not renormalised",
    "wrong metric", "quantiser clipping", "queries coded", "search parameters too low", "wrong scores",
)  # fmt: skip
# 1 - cosine of a stored vector and its row that codes of so many bits explain, at most; and what float32 explains.
CODE_ERROR = {32: 1e-3, 16: 1e-3, 8: 0.02, 4: 0.1}
COARSE_ERROR, ROUNDING, COARSE_ROUNDING = 0.5, 1e-3, 0.1
# Bits that may differ: a coordinate of about 0 falls on either side.
BIT_ERROR = 0.03
# Median difference of a score and its cosine that codes explain.
SCORE_ERROR = {32: 1e-3, 16: 2e-3, 8: 0.02, 4: 0.1}
COARSE_SCORE_ERROR = 0.5
# Lengths of stored vectors that count as 1.
LENGTH_ERROR = 0.01
# Of all coordinates checked: a quantiser that clips no more loses nothing that shows.
CLIPPED_SHARE, STEPS_OFF = 0.01, 2.0
# Below this slope scores are compressed, if they lie on a line: this much of their spread is explained.
FLATTENED, ON_A_LINE = 0.9, 0.8
# A loss of recall below this is the noise of ties and of another build of the same graph.
NO_LOSS = 0.01
# Bits tie often, and ties fall out otherwise in every store.
CODED_LOSS = 0.05
# More true neighbors found by looking harder: so much of the loss has to come back.
COMES_BACK = 0.25


@dataclass(frozen=True)
class Finding(Result):
    """One cause. `cause` : one of `CAUSES`. `evidence` : what was seen, in a sentence with its numbers."""

    cause: str
    evidence: str


@dataclass(frozen=True)
class Evidence:
    """What was seen of a store, beside what the source says it should be.

    `width` : coordinates that the queries were cut to. `stored_dim`, `metric`, `is_approximate`, `search_effort` : of
    the store. `n_items`, `n_stored` : vectors in the source and in the store. `recall`, `expected_recall` : as in
    `AuditResult`; `harder_recall` : with `effort` times as many candidates, None where that was not asked.
    `n_checked` : sampled rows whose ids were looked up, `n_missing` of them not there; `n_unknown` : ids in the answers
    that the source lacks; `n_repeating` of `n_answers` answers have an id more than once.
    `coded_recall` : of the plan's codes with queries coded too, None where they are not.
    Of sampled rows with a vector, of shape (n_sampled, width): `stored`, and `expected`, cut and of length 1; `kept`,
    (n_sampled,), the lengths that their prefixes have where rows are of length 1, and `raw` where they are as they are.
    Of answers, one-dimensional: `scores` as the store says them, `cosines` at that width, and the same two lengths.
    """

    plan: Plan
    width: int
    stored_dim: int
    metric: str
    is_approximate: bool
    search_effort: str
    n_items: int
    n_stored: int
    recall: float
    expected_recall: float
    harder_recall: float | None
    effort: int
    n_checked: int
    n_missing: int
    n_unknown: int
    n_answers: int
    n_repeating: int
    coded_recall: float | None
    stored: Floats
    expected: Floats
    kept: Floats
    raw: Floats
    scores: Floats
    cosines: Floats
    score_kept: Floats
    score_raw: Floats

    @property
    def is_losing(self) -> bool:
        """Whether fewer of the plan's neighbors are found than its codes explain."""
        return self.recall < self.expected_recall - NO_LOSS

    @property
    def scale(self) -> float:
        """What stored numbers have to be divided by: codes are whole numbers, vectors may have any length.

        From coordinates inside their range, as those at its ends may be clipped, and not so small that rounding rules.
        """
        low, high = self.stored.min(axis=0), self.stored.max(axis=0)
        margin = (high - low) / 50
        is_telling = (self.stored > low + margin) & (self.stored < high - margin)
        is_telling &= np.abs(self.expected) > np.abs(self.expected).mean() / 2
        ratio = float(np.median(self.stored[is_telling] / self.expected[is_telling])) if is_telling.any() else 1.0
        return ratio if ratio > 0 else 1.0  # other vectors altogether

    def off(self) -> Floats:
        """How far each stored vector is from its row: 1 - cosine, or the share of bits that differ."""
        if self.metric == "hamming":
            return np.asarray(((self.stored > 0) != (self.expected > 0)).mean(axis=1))
        lengths = np.linalg.norm(self.stored, axis=1)
        cosines = np.einsum("ij,ij->i", self.stored, self.expected) / np.where(lengths > 0, lengths, 1)
        return np.asarray(1 - cosines)

    def most_off(self) -> float:
        """The largest such distance that codes explain: what the plan's may do, or what most rows show they do."""
        if self.metric == "hamming":
            return BIT_ERROR
        is_fine = self.plan.kind != "pq" and bits(self.plan.dtype) >= 8
        most = CODE_ERROR.get(bits(self.plan.dtype), COARSE_ERROR) if self.plan.kind != "pq" else COARSE_ERROR
        return float(np.clip(10 * np.median(self.off()), ROUNDING if is_fine else COARSE_ROUNDING, most))


def diagnose(seen: Evidence) -> tuple[Finding, ...]:
    """The causes that the evidence points at, the one that explains the others first; none where it points nowhere.

    Source: own definition.
    """
    found = [finding for look in _LOOKS if (finding := look(seen)) is not None]
    found.sort(key=lambda finding: CAUSES.index(finding.cause))
    # Scores that are wrong for a reason already found are no cause of their own.
    return tuple(found) or tuple(finding for finding in [_wrong_scores(seen)] if finding is not None)


def _wrong_width(seen: Evidence) -> Finding | None:
    if seen.width == seen.plan.dim:
        return None
    return Finding(
        "wrong width",
        f"its vectors have {seen.stored_dim} coordinates and the plan {seen.plan.dim}, so it was asked with queries "
        f"cut to {seen.width}; cut the rows to {seen.plan.dim}, or deploy the plan of {seen.stored_dim}",
    )


def _rows_missing(seen: Evidence) -> Finding | None:
    lacking = seen.n_items - seen.n_stored
    # More vectors than rows, and all ids known, are rows that were loaded more than once.
    if not seen.n_missing and not seen.n_unknown and lacking <= 0:
        return None
    parts = []
    if seen.n_missing:
        share = seen.n_missing / seen.n_checked
        parts.append(f"{seen.n_missing:,} of {seen.n_checked:,} sampled rows ({share:.1%}) are not in the store")
    if lacking:
        parts.append(f"it holds {seen.n_stored:,} vectors and the source {seen.n_items:,}")
    if seen.n_unknown:
        parts.append(f"{seen.n_unknown:,} ids in its answers are unknown to the source")
    return Finding("rows missing", f"{'; '.join(parts)}; load the rows of the source again, and delete what it lacks")


def _rows_repeated(seen: Evidence) -> Finding | None:
    """Ids that answer more than once, or more vectors than rows though no id is unknown."""
    has_more = seen.n_stored > seen.n_items
    if not seen.n_repeating and (not has_more or seen.n_unknown):
        return None
    return Finding(
        "rows more than once",
        f"{seen.n_repeating:,} of {seen.n_answers:,} answers name a row more than once, and it holds {seen.n_stored:,} "
        f"vectors where the source has {seen.n_items:,}; load each row once, into an empty store",
    )


def _clipping(seen: Evidence) -> Finding | None:
    return _clipped_vectors(seen) or _compressed_scores(seen)


def _clipped_vectors(seen: Evidence) -> Finding | None:
    """Coordinates that lie at an end of their range while the row's own goes far beyond it."""
    if not len(seen.stored) or seen.metric == "hamming" or bits(seen.plan.dtype) < 2:
        return None
    scaled = seen.stored / seen.scale if abs(seen.scale - 1) > LENGTH_ERROR else seen.stored
    low, high = scaled.min(axis=0), scaled.max(axis=0)
    # One range for all coordinates, or one for each; constant codes have no range.
    step = np.maximum(high - low, (scaled.max() - scaled.min()) / 2) / 2 ** min(bits(seen.plan.dtype), 8)
    is_end = (scaled <= low + step / 2) | (scaled >= high - step / 2)
    is_off = np.abs(scaled - seen.expected) > STEPS_OFF * step
    is_beyond = is_end & is_off & (np.abs(seen.expected) > np.abs(scaled))
    # Rows that are other rows are off anywhere, not at the ends alone.
    if is_beyond.mean() <= CLIPPED_SHARE or is_beyond.sum() < 0.7 * is_off.sum():
        return None
    return Finding(
        "quantiser clipping",
        f"{is_beyond.mean():.1%} of the coordinates of {len(scaled):,} sampled vectors lie at the end of their range "
        f"({scaled.min():.3g} to {scaled.max():.3g}) where the source goes beyond, up to "
        f"{np.abs(seen.expected).max():.3g}; fit the quantiser's range to the cut and renormalised rows",
    )


def _other_rows(seen: Evidence) -> Finding | None:
    """Stored vectors that do not point where their rows point."""
    if not len(seen.stored) or _clipped_vectors(seen) is not None:
        return None
    off, most = seen.off(), seen.most_off()
    is_other = off > most
    if not is_other.any():
        return None
    what = "of their bits differ" if seen.metric == "hamming" else "1 - cosine"
    how = f"(median {np.median(off[is_other]):.2g} {what}, where codes explain {most:.2g})"
    said = (
        f"{is_other.sum():,} of {len(off):,} sampled vectors ({is_other.mean():.1%}) are not those of the source {how}"
    )
    if is_other.mean() > 0.5:
        return Finding("other vectors", f"{said}: another model, prompt or rotation, or ids of other rows")
    return Finding("stale rows", f"{said}; embed and load those rows again")


def _lengths(seen: Evidence) -> Finding | None:
    """Vectors that are not of length 1 under a measure that feels it."""
    if seen.metric not in ("dot", "l2"):
        return None
    said = _lengths_of_vectors(seen) if len(seen.stored) else _lengths_of_scores(seen)
    if said is None:
        return None
    if seen.metric == "l2":
        advice = "rank by cosine, or give rows and queries length 1 after the cut"
        return Finding("wrong metric", f"it ranks by L2 distance where the plan ranks by cosine, and {said}; {advice}")
    if np.allclose(seen.score_kept, 1, atol=LENGTH_ERROR):  # nothing of them was cut
        advice = "rank by cosine, or give rows length 1"
        return Finding("wrong metric", f"it ranks by dot product where the plan ranks by cosine, and {said}; {advice}")
    return Finding("not renormalised", f"{said}; give rows length 1 again after the cut, or rank by cosine")


def _lengths_of_vectors(seen: Evidence) -> str | None:
    lengths = np.linalg.norm(seen.stored, axis=1)
    typical = float(np.median(lengths))
    # Codes of whole numbers have one length for all; only a spread changes an order.
    if not typical or np.ptp(lengths) <= 2 * LENGTH_ERROR * typical:
        return None
    cut, raw = (np.abs(lengths - each).max() for each in (seen.kept, seen.raw))
    how = "those of rows cut and not rescaled" if min(cut, raw) < LENGTH_ERROR * max(typical, 1) else "not 1"
    if how == "not 1" and (seen.most_off() > ROUNDING or np.mean(np.abs(lengths - 1) > 0.1) < 0.1):
        return None  # what coarse codes do to lengths
    return f"the lengths of {len(lengths):,} sampled vectors are {lengths.min():.2g} to {lengths.max():.2g}, {how}"


def _lengths_of_scores(seen: Evidence) -> str | None:
    """The same from scores alone, where the store cannot say its vectors."""
    errors = {
        name: float(np.median(np.abs(seen.scores - _score(seen.metric, seen.cosines, length))))
        for name, length in (("1", 1.0), ("cut", seen.score_kept), ("raw", seen.score_raw))
    }
    best = min(errors["cut"], errors["raw"])
    if errors["1"] <= _most_score_error(seen) or best > errors["1"] / 4:
        return None
    return (
        f"its scores are those of rows cut and not rescaled (median difference {best:.1g}, from rows of length 1 "
        f"{errors['1']:.1g})"
    )


def _score(metric: str, cosines: Floats, lengths: Floats | float) -> Floats:
    """What a store of rows of these lengths says for queries of length 1."""
    products = cosines * lengths
    return np.asarray(1 + np.square(lengths) - 2 * products if metric == "l2" else products)


def _most_score_error(seen: Evidence) -> float:
    if seen.plan.kind == "pq":
        return COARSE_SCORE_ERROR
    return SCORE_ERROR.get(bits(seen.plan.dtype), COARSE_SCORE_ERROR)


def _compressed_scores(seen: Evidence) -> Finding | None:
    """Scores on a line with the cosines that is too flat, of codes with a range."""
    if seen.metric not in ("dot", "cosine") or len(seen.scores) < 10 or bits(seen.plan.dtype) not in (4, 8):
        return None
    if _lengths_of_scores(seen) is not None or (len(seen.stored) and _lengths_of_vectors(seen) is not None):
        return None
    spread = float(seen.cosines.std())
    if not spread or not seen.scores.std():
        return None
    slope = float(np.cov(seen.scores, seen.cosines)[0, 1] / spread**2)
    fit = float(np.corrcoef(seen.scores, seen.cosines)[0, 1])
    error = float(np.median(seen.cosines - seen.scores))
    if slope > FLATTENED or fit**2 < ON_A_LINE or error <= _most_score_error(seen):
        return None
    return Finding(
        "quantiser clipping",
        f"its scores are compressed: {slope:.2f} for each 1 of cosine, {error:.2g} below the cosine in the median, "
        f"where {seen.plan.dtype} explains {_most_score_error(seen):.2g}; fit the quantiser's range to the cut and "
        "renormalised rows",
    )


def _too_little_effort(seen: Evidence) -> Finding | None:
    """An approximate index that finds more when it looks at more."""
    if not (seen.is_approximate and seen.is_losing) or seen.harder_recall is None:
        return None
    gained = seen.harder_recall - seen.recall
    if gained < max(NO_LOSS, COMES_BACK * (seen.expected_recall - seen.recall)):
        return None
    return Finding(
        "search parameters too low",
        f"at {seen.search_effort} it leaves out true neighbors that it holds: looking at {seen.effort} times as many "
        f"raises recall from {seen.recall:.1%} to {seen.harder_recall:.1%}; raise that parameter",
    )


def _queries_coded(seen: Evidence) -> Finding | None:
    """Bits compared with bits, where the plan was measured with float queries."""
    if seen.coded_recall is None or not seen.is_losing or seen.recall < seen.coded_recall - CODED_LOSS:
        return None
    return Finding(
        "queries coded",
        f"it compares bits with the query's own bits, by which the plan's codes find {seen.coded_recall:.1%}, and by "
        f"float queries, as the plan was measured, {seen.expected_recall:.1%}; rerank more, or decide on int8",
    )


def _wrong_metric(seen: Evidence) -> Finding | None:
    """A measure that orders otherwise than the cosine even for vectors of length 1."""
    if seen.metric in ("dot", "cosine", "l2", "hamming") or not seen.is_losing:
        return None
    return Finding(
        "wrong metric", f"it ranks by {seen.metric} where the plan ranks by cosine; make the index for cosine"
    )


def _wrong_scores(seen: Evidence) -> Finding | None:
    if seen.metric not in ("dot", "cosine", "l2") or not len(seen.scores):
        return None
    error = float(np.median(np.abs(seen.scores - _score(seen.metric, seen.cosines, 1.0))))
    if error <= _most_score_error(seen):
        return None
    return Finding(
        "wrong scores",
        f"its {seen.metric} scores differ from the plan's by {error:.2g} in the median, where {seen.plan.dtype} "
        f"explains {_most_score_error(seen):.2g}, in no way that was recognised: other vectors or codes",
    )


_LOOKS: tuple[Callable[[Evidence], Finding | None], ...] = (
    _wrong_width, _rows_missing, _rows_repeated, _other_rows, _lengths, _wrong_metric, _clipping, _queries_coded,
    _too_little_effort,
)  # fmt: skip
