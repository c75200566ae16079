"""What each width keeps in each language: agreement with people's scores, and finding a sentence's translation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrl_viz.data.corpus import LANGUAGE, Corpus
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.lists import nearest_level
from mrl_viz.result import Result
from mrl_viz.tasks.curves import MetricCurve, mean_curve
from mrl_viz.tasks.pairs import FEWEST_PAIRS, check_scores, pair_correlations
from mrl_viz.tasks.retrieval import Grades
from mrl_viz.tasks.task import Task
from mrl_viz.truncation import Progress, check_dims

# Whether what is found first is a translation.
FOUND = "success@1"

# Rows of scored pairs by their language, in the order of the data.
Rows = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class LanguageQuality(Result):
    """What each width keeps in each language; `by_language` makes it.

    `source` : the language that translations are searched from. `spearman` : language to the curve of its scored pairs.
    `found` : every other language to the share of the source's sentences whose translation is the nearest of all
    `n_searched` sentences there, by chance 1 / n_searched; empty where translations are not known. `found_everywhere` :
    its mean over those languages, resampled by the source's sentences; None where `found` is empty. `notes` : what is
    left out, and why.
    """

    source: str
    dims: tuple[int, ...]
    spearman: Mapping[str, MetricCurve]
    found: Mapping[str, MetricCurve]
    found_everywhere: MetricCurve | None
    n_searched: Mapping[str, int]
    notes: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One record per language and width, then one per language searched and width."""
        curves = [("", language, curve) for language, curve in self.spearman.items()]
        curves += [(self.source, language, curve) for language, curve in self.found.items()]
        return [
            {"metric": curve.name, "from": source, "language": language} | row
            for source, language, curve in curves
            for row in curve.rows()
        ]

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[nearest_level(self.dims, self.dims[-1] / 4)])

    def takeaway_at(self, dim: int) -> str:
        """The strongest and the weakest language at one width, and whose translations are found, in a sentence each."""
        return " ".join([self.agreement_at(dim), *([self.found_at(dim)] if self.found else [])])

    def agreement_at(self, dim: int) -> str:
        """The languages with the highest and the lowest correlation at one width, with what they keep of it."""
        level = self.dims.index(dim)
        best, worst = _ends(self.spearman, level)
        high, low = (self.spearman[language].value[level] for language in (best, worst))
        unsure = "" if high.low > low.high else "; their intervals overlap, so the order may be luck"
        said = f"At {dim} dims Spearman is highest in {best}, {high.value:.3f}{_kept(self.spearman[best], level)}"
        return f"{said}, and lowest in {worst}, {low.value:.3f}{_kept(self.spearman[worst], level)}{unsure}."

    def found_at(self, dim: int) -> str:
        """The languages in which most and fewest translations are found at one width."""
        level = self.dims.index(dim)
        best, worst = _ends(self.found, level)
        high, low = (self.found[language].value[level].value for language in (best, worst))
        said = f"From {self.source}, {dim} dims find a sentence's translation first in {high:.0%} of searches in {best}"
        others = "" if best == worst else f" and in {low:.0%} in {worst}"
        return f"{said}{others}; by chance in {1 / self.n_searched[worst]:.1%}."


def _ends(curves: Mapping[str, MetricCurve], level: int) -> tuple[str, str]:
    """The languages of the highest and the lowest value."""

    def value(language: str) -> float:
        return curves[language].value[level].value

    return max(curves, key=value), min(curves, key=value)


def _kept(curve: MetricCurve, level: int) -> str:
    kept = curve.retention[level]
    is_full = level == len(curve.dims) - 1
    return "" if kept is None or is_full else f" ({kept.value:.0%} of its {curve.value[-1].value:.3f} at full width)"


def languages_of(corpus: Corpus) -> tuple[str, ...]:
    """The languages that a corpus has scored pairs in, in its order; one or none where it does not tell any apart."""
    return tuple(pair_rows(corpus))


def pair_rows(corpus: Corpus) -> dict[str, list[int]]:
    """Rows of the pairs both of whose sentences are of one language, by language."""
    spoken = corpus.labels.get(LANGUAGE, ())
    rows: dict[str, list[int]] = {}
    for row, (left, right, _) in enumerate(corpus.pairs if spoken else ()):
        language = spoken[left]
        if language is not None and language == spoken[right]:
            rows.setdefault(language, []).append(row)
    return rows


def by_language(
    embedded: Embedded, *, dims: Iterable[int], source: str | None = None, seed: int = 0,
    progress: Progress | None = None,
) -> LanguageQuality:  # fmt: skip
    """Spearman of each language's scored pairs at every width, and whether a sentence finds its translation.

    Languages are judged by the pairs whose ids all of them have. A sentence of the source is searched for among all
    sentences of one other language at a time, so that no language can stand before another and none finds itself.
    Relevant are its translations, the sentences on its side of the pairs of its id, and those of a sentence
    that the data score as high as any with it: it means the same.

    Parameters
    ----------
    embedded : of a corpus of scored pairs with a label `language`; with ids where they are translations
    dims : widths in 1..full_dim; the full width is added
    source : the language to search from; None takes the first of the data
    seed : of the bootstrap, over pairs and over searches
    progress : called with (languages done, languages in all)

    Raises
    ------
    InvalidInputError : fewer than two languages with scored pairs, or no such `source`.
    DimensionError, ShapeError : unusable widths or arrays.

    Source: the STS protocol per language, Cer et al. 2017, arXiv:1708.00055; the nearest sentence of another language
    as its translation: Artetxe & Schwenk 2019, arXiv:1812.10464 (Tatoeba).
    """
    corpus = embedded.corpus
    checked = check_dims((*dims, embedded.full_dim), embedded.full_dim)
    rows, notes = _judged(corpus)
    if len(rows) < 2:
        said = f" ({' '.join(notes)})" if notes else ""
        raise InvalidInputError(
            f"`{corpus.name}` has scored pairs in {len(rows)} languages{said}; give a table of pairs in two or more "
            f"with a column `{LANGUAGE}`, or take `sample:languages`."
        )
    source = next(iter(rows)) if source is None else source
    if source not in rows:
        raise InvalidInputError(f"`source` is {source!r}; choose one of {', '.join(rows)}.")
    rows, are_parallel, missing = _parallel(corpus, rows)
    spearman = {}
    for done, (language, own) in enumerate(rows.items(), start=1):
        left, right, scores = (np.array([corpus.pairs[row][part] for row in own]) for part in range(3))
        sides = embedded.matrix[left], embedded.matrix[right]
        curves = pair_correlations(*sides, scores, dims=checked, names=["spearman"], seed=seed)
        spearman[language] = curves["spearman"]
        if progress is not None:
            progress(done, len(rows))
    others = [language for language in rows if language != source and are_parallel]
    searches = {language: _search(corpus, rows[source], rows[language]) for language in others}
    hits = {language: task.measure(embedded.matrix, embedded.matrix, checked) for language, task in searches.items()}
    found = {language: mean_curve(FOUND, checked, values, seed=seed) for language, values in hits.items()}
    # Every language is searched with the same sentences, in the same order.
    everywhere = mean_curve(FOUND, checked, np.mean([*hits.values()], axis=0), seed=seed) if hits else None
    n_searched = {language: len(task.searched(embedded.matrix)) for language, task in searches.items()}
    return LanguageQuality(source, checked, spearman, found, everywhere, n_searched, (*notes, *missing))


def _judged(corpus: Corpus) -> tuple[Rows, list[str]]:
    """The languages with scores that something can be correlated with, and notes on the others."""
    rows, notes = pair_rows(corpus), []
    for language, own in list(rows.items()):
        try:
            check_scores([corpus.pairs[row][2] for row in own])
        except (EmptyInputError, InvalidInputError) as error:
            notes.append(f"{language} is left out: {error}")
            del rows[language]
    return rows, notes


def _parallel(corpus: Corpus, rows: Rows) -> tuple[Rows, bool, list[str]]:
    """The rows whose ids all languages have, whether those are enough, and a note on what is missing."""
    if not corpus.pair_ids:
        said = "The pairs have no column `id`: each language is judged by pairs of its own, which may be harder."
        return rows, False, [said]
    ids = {language: {corpus.pair_ids[row] for row in own} - {""} for language, own in rows.items()}
    everywhere, anywhere = set.intersection(*ids.values()), set.union(*ids.values())
    worst = min(ids, key=lambda language: len(ids[language]))
    missing = f"{len(anywhere) - len(everywhere)} of {len(anywhere)} ids are not there in every language"
    missing += f" ({worst} has {len(ids[worst])})"
    if len(everywhere) < FEWEST_PAIRS:
        return rows, False, [f"{missing}: each language is judged by pairs of its own, which may be harder."]
    kept = {language: [row for row in own if corpus.pair_ids[row] in everywhere] for language, own in rows.items()}
    is_whole = len(everywhere) == len(anywhere)
    return kept, True, [] if is_whole else [f"{missing} and are left out, so that all are judged by the same pairs."]


def _search(corpus: Corpus, source: Sequence[int], target: Sequence[int]) -> Task:
    """Every sentence of some rows, in order, searched for among those of others; see `by_language` for what counts."""
    asked, items = (np.unique([corpus.pairs[row][:2] for row in rows]).astype(np.int64) for rows in (source, target))
    places = {int(item): place for place, item in enumerate(items)}
    # Of each pair's id and side the sentences of the other language.
    there: dict[tuple[str, int], set[int]] = {}
    for row in target:
        for side in (0, 1):
            there.setdefault((corpus.pair_ids[row], side), set()).add(places[int(corpus.pairs[row][side])])
    most = max(corpus.pairs[row][2] for row in source)
    right: dict[int, set[int]] = {int(item): set() for item in asked}
    for row in source:
        for side in (0, 1):
            sides = (0, 1) if corpus.pairs[row][2] == most else (side,)
            right[int(corpus.pairs[row][side])].update(*(there[corpus.pair_ids[row], one] for one in sides))
    grades: tuple[Grades, ...] = tuple(dict.fromkeys(sorted(right[int(item)]), 1) for item in asked)
    return Task("retrieval", FOUND, asked, items, grades=grades)
