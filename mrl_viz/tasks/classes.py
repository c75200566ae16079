"""Quality with class labels: nearest neighbors, nearest class mean from a few examples, silhouette, at every width."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.truncation import FloatMatrix, Floats, Ints, check_count, check_dims, check_embeddings, normalize

# As many as sklearn's KNeighborsClassifier votes with; small classes still have that many members.
N_NEIGHBORS = 5
# The mean over this many draws of examples moves by under a hundredth from seed to seed.
FEW_SHOT_DRAWS = 30
# Rows classified at once, so that the cosines with every class mean stay small.
CHUNK = 8192

# Classifiers compare every text with every class: of more classes than these a seeded sample is used.
MOST_CLASSES = 200
# Logistic regression takes time in proportion to texts x classes x width: above this many a seeded sample is used.
MOST_LOGISTIC_ITEMS = 5000
FOLDS = 5
# Enough for vectors of unit length under sklearn's default penalty; what does not converge is noted.
LOGISTIC_ITERATIONS = 500


@dataclass(frozen=True, eq=False)
class Classes:
    """Class labels as numbers, of the items that can be classified.

    `rows` : positions of those items, ascending. `codes` : int64 of shape (len(rows),), positions in `names`.
    `n_unlabelled`, `n_single` : items left out because they have no label, or the only one of their class.
    """

    names: tuple[str, ...]
    rows: Ints
    codes: Ints
    n_unlabelled: int
    n_single: int


def classes_from_labels(labels: Sequence[str | None], name: str = "labels") -> Classes:
    """The classes with at least two members; a text alone in its class can be recognised by nothing, so it is left out.

    Parameters
    ----------
    labels : one value per item, None for none
    name : what an error message calls them

    Raises
    ------
    InvalidInputError : fewer than two classes have two members.
    """
    labelled = np.array([row for row, label in enumerate(labels) if label is not None], dtype=np.int64)
    values = np.array([str(labels[row]) for row in labelled], dtype=str)
    names, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    is_kept = counts[codes] >= 2
    kept_names = names[counts >= 2]
    if len(kept_names) < 2:
        said = f"{len(names):,} classes, {len(kept_names)} of them with two texts or more"
        raise InvalidInputError(
            f"`{name}` has {'one class only' if len(names) == 1 else said}; classification needs two classes with two "
            "texts or more."
        )
    return Classes(
        names=tuple(str(value) for value in kept_names),
        rows=labelled[is_kept],
        codes=np.searchsorted(kept_names, values[is_kept]).astype(np.int64),
        n_unlabelled=len(labels) - len(labelled),
        n_single=int((~is_kept).sum()),
    )


def sample_of_classes(codes: Ints, most: int, seed: int = 0) -> Ints:
    """Positions of a seeded sample of at most `most` items, ascending, without those left alone in their class."""
    drawn = np.sort(np.random.default_rng(seed).permutation(len(codes))[:most])
    return np.asarray(drawn[np.bincount(codes[drawn])[codes[drawn]] >= 2])


def some_classes(codes: Ints, seed: int = 0) -> tuple[Ints, Ints]:
    """Positions of the items of at most MOST_CLASSES classes, a seeded sample, ascending, and their classes from 0."""
    n_classes = int(codes.max()) + 1
    if n_classes <= MOST_CLASSES:
        return np.arange(len(codes), dtype=np.int64), codes
    rows = np.flatnonzero(np.isin(codes, np.random.default_rng(seed).permutation(n_classes)[:MOST_CLASSES]))
    return rows, np.unique(codes[rows], return_inverse=True)[1].astype(np.int64)


def few_shot_correct(
    embeddings: npt.ArrayLike,
    codes: Ints,
    *,
    dims: Sequence[int],
    n_shots: int,
    n_draws: int = FEW_SHOT_DRAWS,
    seed: int = 0,
) -> Floats | None:
    """How often each item goes to its class by the nearest mean of `n_shots` random examples a class, at every width.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim)
    codes : int64 of shape (n_items,), class of each item
    dims : widths in 1..full_dim
    n_shots : examples a class; classes with no member left to classify are left out
    n_draws, seed : draws of examples

    Returns
    -------
    ndarray of shape (n_dims, n_tested), in [0, 1], the mean over the draws in which an item was no example; or None
    when fewer than two classes have more than `n_shots` members

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable arrays or widths.
    InvalidInputError : `n_shots` or `n_draws` < 1.

    Source: Snell, Swersky & Zemel 2017, arXiv:1703.05175, section 2, with the cosine of renormalised prefixes.
    """
    array = check_embeddings(embeddings)
    dims = check_dims(dims, array.shape[1])
    check_codes(codes, len(array))
    check_count("n_shots", n_shots)
    check_count("n_draws", n_draws)
    counts = np.bincount(codes)
    able = np.flatnonzero(counts > n_shots)
    if len(able) < 2:
        return None
    rows = np.flatnonzero(np.isin(codes, able))
    members = [np.flatnonzero(codes == code) for code in able]
    own = np.searchsorted(able, codes[rows])
    rng = np.random.default_rng(seed)
    examples = np.array([[rng.choice(group, n_shots, replace=False) for group in members] for _ in range(n_draws)])
    is_example = np.zeros((n_draws, len(array)), dtype=bool)
    np.put_along_axis(is_example, examples.reshape(n_draws, -1), True, axis=1)
    is_tested = ~is_example[:, rows]
    correct = np.zeros((len(dims), len(rows)))
    for level, dim in enumerate(dims):
        unit = normalize(array[:, :dim])
        means = normalize(unit[examples].mean(axis=2).reshape(-1, dim)).reshape(n_draws, len(able), dim)
        tested = unit[rows]
        for draw in range(n_draws):
            correct[level] += (_nearest(tested, means[draw]) == own) & is_tested[draw]
    times = is_tested.sum(axis=0)
    return np.asarray(correct[:, times > 0] / times[times > 0])


def logistic_correct(embeddings: FloatMatrix, codes: Ints, *, dims: Sequence[int], seed: int = 0) -> tuple[Floats, int]:
    """Whether logistic regression, fitted on the other folds, gives each item its class, at every width.

    Parameters
    ----------
    embeddings : ndarray of shape (n_items, full_dim)
    codes : int64 of shape (n_items,); every class has two members or more
    dims : widths in 1..full_dim
    seed : of the stratified folds: five, or as many as the smallest class has members

    Returns
    -------
    correct : ndarray of shape (n_dims, n_items), 0 or 1
    n_unconverged : fits that ran out of iterations

    Raises
    ------
    InvalidInputError : a class with one member.

    Source: sklearn's LogisticRegression with its defaults on renormalised prefixes, as in MTEB, Muennighoff et al.
    2023, arXiv:2210.07316, but cross-validated.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    smallest = int(np.bincount(codes).min())
    if smallest < 2:
        raise InvalidInputError(
            "`codes` has a class with fewer than two members; leave it out, see `classes_from_labels`."
        )
    folds = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
    correct = np.empty((len(dims), len(codes)))
    n_unconverged = 0
    for level, dim in enumerate(dims):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            # Classes of two texts are few texts, and classes all the same.
            warnings.filterwarnings("ignore", message="The number of unique classes")
            model = LogisticRegression(max_iter=LOGISTIC_ITERATIONS)
            correct[level] = cross_val_predict(model, normalize(embeddings[:, :dim]), codes, cv=folds) == codes
        n_unconverged += sum(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return correct, n_unconverged


def class_average_precision(lists: npt.NDArray[np.integer[Any]], codes: Ints, own: Ints) -> Floats:
    """Average precision of each ranked list where an item is relevant when it has the query's class.

    The precisions at the ranks of relevant items, added up, over as many as could be found: the class's other members,
    at most k. Its mean is mAP@k by class.

    Parameters
    ----------
    lists : (..., n_queries, k), places among the items, best first, one's own left out; -1 stands for nothing found
    codes : int64 of shape (n_items,), class of each item
    own : int64 of shape (n_queries,), class of each query, itself one of the items

    Returns
    -------
    ndarray of shape (..., n_queries), in [0, 1]

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 4.3 (mAP@10 of image retrieval); average precision cut at
    k, Manning, Raghavan & Schütze 2008, section 8.4.
    """
    is_right = np.append(codes, -1)[lists] == own[:, None]
    precision = is_right.cumsum(axis=-1) / np.arange(1, lists.shape[-1] + 1)
    findable = np.minimum(np.bincount(codes[codes >= 0])[own] - 1, lists.shape[-1])
    return np.asarray((precision * is_right).sum(axis=-1) / np.maximum(findable, 1))


def silhouette(embeddings: npt.ArrayLike, codes: Ints, *, dims: Sequence[int]) -> Floats:
    """Silhouette of every item under cosine distance at every width.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim)
    codes : int64 of shape (n_items,), classes 0..n_classes - 1, each with two members or more
    dims : widths in 1..full_dim

    Returns
    -------
    ndarray of shape (n_dims, n_items), in [-1, 1]; 0 where an item is as far from its own class as from the next

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable arrays or widths. InvalidInputError : fewer than two classes.

    Source: Rousseeuw 1987, "Silhouettes: a graphical aid"; linear in items, because the mean cosine with a class is the
    dot product with its mean.
    """
    array = check_embeddings(embeddings)
    dims = check_dims(dims, array.shape[1])
    check_codes(codes, len(array))
    counts = np.bincount(codes)
    if len(counts) < 2 or counts.min() < 2:
        raise InvalidInputError(
            "`codes` need two classes or more, each with two members or more; see `classes_from_labels`."
        )
    result = np.empty((len(dims), len(array)))
    items = np.arange(len(array))
    for level, dim in enumerate(dims):
        unit = normalize(array[:, :dim]).astype(np.float64)
        sums = np.zeros((len(counts), dim))
        np.add.at(sums, codes, unit)
        cosines = unit @ sums.T
        distance = 1 - cosines / counts
        own = counts[codes]
        # The item itself is no neighbor of its own: its cosine, 1 or 0 for a zero prefix, comes out of the sum.
        inside = 1 - (cosines[items, codes] - (unit * unit).sum(axis=1)) / (own - 1)
        distance[items, codes] = np.inf
        outside = distance.min(axis=1)
        largest = np.maximum(inside, outside)
        # Distances of duplicates are 0 up to rounding; their quotient would be noise.
        result[level] = np.where(largest > 1e-12, (outside - inside) / np.where(largest > 1e-12, largest, 1), 0)
    return result


def _nearest(unit: FloatMatrix, means: FloatMatrix) -> Ints:
    return np.concatenate([(unit[i : i + CHUNK] @ means.T).argmax(axis=1) for i in range(0, len(unit), CHUNK)])


def check_codes(codes: Ints, n_items: int) -> None:
    """Raise ShapeError for another number of classes than items."""
    if len(codes) != n_items:
        raise ShapeError(f"`codes` has {len(codes)} labels for {n_items} items; give one each.")
