"""Ways to make short vectors out of long ones: a map from D to D coordinates, after which a prefix is kept.

`prefix` is what a Matryoshka model is trained for, `random` and `suffix` are its controls, `svd` is the baseline to
beat. `centred` and `tempered` change cosine itself: what they find is other even at full width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.truncation import Flags, FloatMatrix, Floats, Ints, check_count, check_embeddings, normalize

ARRANGEMENTS = ("prefix", "random", "suffix", "svd")
# Measured when they are asked for; `tempered` with its strength, such as tempered:0.5.
ON_REQUEST = ("centred", "tempered")
# Learnt from rows without labels, so measured on others.
FITTED = ("svd", *ON_REQUEST)
# Between SVD, 0, and whitening, 1.
GAMMA = 0.5
# Directions weaker than this share of the strongest are rounding of float32, which tempering would blow up.
WEAKEST = 1e-6
# Fewer draws give no usable spread: the standard deviation of 10 is itself known to about a quarter.
FEWEST_DRAWS = 10
# A rotation estimated from four rows per coordinate is within a few hundredths of overlap of one from many more.
ROWS_PER_COORDINATE = 4
HELD_OUT_SHARE = 0.1
# A row is known again by its first coordinates at this precision: encoding it in another batch moves the seventh digit.
KEY_COORDINATES, KEY_STEPS = 16, 1000


@dataclass(frozen=True, eq=False)
class Arrangement:
    """A map of full_dim coordinates to as many: a permutation, a rotation, whatever else was learnt, or the identity.

    `order` : int64 of shape (full_dim,), new coordinate j is old coordinate order[j].
    `rotation` : float32 of shape (full_dim, full_dim), applied from the right to unit rows, less `centre` where that is
    given, float32 of shape (full_dim,); any matrix can be one.
    `learned` : rows (n_items, full_dim) to as many, such as a residual network.
    `fitted_rows` : `row_keys` of the rows it was learnt from; None where those are unknown.
    """

    name: str
    full_dim: int
    order: Ints | None = None
    rotation: npt.NDArray[np.float32] | None = None
    learned: Callable[[FloatMatrix], FloatMatrix] | None = None
    fitted_rows: Ints | None = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    centre: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Raise InvalidInputError unless there is a coordinate."""
        check_count("full_dim", self.full_dim)

    def has_seen(self, embeddings: npt.ArrayLike) -> Flags:
        """Which rows it was learnt from, shape (n_items,); measured on those, it looks better than it is.

        All of them count as seen where it does not know its rows.
        """
        keys = row_keys(embeddings)
        return np.ones(len(keys), dtype=np.bool_) if self.fitted_rows is None else np.isin(keys, self.fitted_rows)

    def apply(self, embeddings: npt.ArrayLike) -> FloatMatrix:
        """The rows in this arrangement, shape (n_items, full_dim); the input itself for the identity.

        Raises
        ------
        ShapeError, EmptyInputError : unusable rows, or another width than `full_dim`.
        """
        array = check_embeddings(embeddings)
        if array.shape[1] != self.full_dim:
            raise ShapeError(
                f"`embeddings` have {array.shape[1]} coordinates and the `{self.name}` arrangement {self.full_dim}; "
                "use the rows it was made for."
            )
        if self.order is not None:
            return np.take(array, self.order, axis=1)
        if self.rotation is not None:
            unit = normalize(array)
            if self.centre is not None:
                unit = unit - self.centre.astype(array.dtype, copy=False)
            return unit @ self.rotation.astype(array.dtype, copy=False)
        return array if self.learned is None else self.learned(array)


def check_arrangements(arrangements: Iterable[str | Arrangement]) -> tuple[tuple[str, ...], tuple[Arrangement, ...]]:
    """The names, each once, in the order of ARRANGEMENTS, and the arrangements given; InvalidInputError for others.

    `tempered` is named with its strength: tempered:0.5.
    """
    given = tuple(arrangements)
    learned = tuple(entry for entry in given if isinstance(entry, Arrangement))
    wanted = {entry.strip().lower() for entry in given if isinstance(entry, str)}
    known = (*ARRANGEMENTS, *ON_REQUEST)
    unknown = sorted(name for name in wanted if name not in known and name.partition(":")[0] != "tempered")
    if unknown or not given:
        got = f"`arrangements` has {unknown[0]!r}" if unknown else "`arrangements` is empty"
        raise InvalidInputError(f"{got}; choose from {', '.join(known[:-1])}, tempered:GAMMA.")
    strengths = sorted({_gamma_of(name) for name in wanted if name.startswith("tempered")})
    plain = tuple(name for name in known[:-1] if name in wanted)
    return (*plain, *(f"tempered:{gamma:g}" for gamma in strengths)), learned


def fitted_arrangement(name: str, embeddings: npt.ArrayLike) -> Arrangement:
    """The arrangement of a name of FITTED, such as svd or tempered:0.5, fitted on rows (n_fit, full_dim).

    Raises
    ------
    InvalidInputError : another name. EmptyInputError, ShapeError : unusable rows, see `svd_arrangement`.
    """
    (name,), _ = check_arrangements([name])
    if name.partition(":")[0] not in FITTED:
        raise InvalidInputError(
            f"`arrangement` is {name!r}, which is not learnt from rows; choose svd, centred or tempered:GAMMA."
        )
    if name.startswith("tempered"):
        return tempered_arrangement(embeddings, _gamma_of(name))
    return centred_arrangement(embeddings) if name == "centred" else svd_arrangement(embeddings)


def _gamma_of(name: str) -> float:
    """The strength in a name such as tempered:0.5; GAMMA where it says none."""
    text = name.partition(":")[2]
    try:
        gamma = float(text) if text else GAMMA
    except ValueError:
        gamma = float("nan")
    _check_gamma(gamma, text)
    return gamma


def _check_gamma(gamma: float, said: object) -> None:
    if not 0 <= gamma <= 1:
        raise InvalidInputError(f"`gamma` is {said}; choose 0 (SVD) to 1 (whitening), as in tempered:0.5.")


def prefix_arrangement(full_dim: int) -> Arrangement:
    """The coordinates as the model gives them."""
    return Arrangement("prefix", full_dim)


def suffix_arrangement(full_dim: int) -> Arrangement:
    """The coordinates from last to first."""
    return Arrangement("suffix", full_dim, order=np.arange(full_dim, dtype=np.int64)[::-1].copy())


def random_arrangements(full_dim: int, *, n_draws: int = FEWEST_DRAWS, seed: int = 0) -> tuple[Arrangement, ...]:
    """Seeded permutations: the first m coordinates of each are a random m-subset, nested over m.

    Raises
    ------
    InvalidInputError : `n_draws` < 10.
    """
    if n_draws < FEWEST_DRAWS:
        raise InvalidInputError(f"`n_draws` is {n_draws}; choose {FEWEST_DRAWS} or more, or their spread means little.")
    rng = np.random.default_rng(seed)
    return tuple(Arrangement("random", full_dim, order=rng.permutation(full_dim)) for _ in range(n_draws))


def svd_arrangement(embeddings: npt.ArrayLike) -> Arrangement:
    """The rotation of `svd_rotation`; fit it on rows (n_fit, full_dim) that are not measured, see `held_out_rows`.

    Raises
    ------
    EmptyInputError : fewer rows than coordinates, which leave directions undetermined. ShapeError : unusable rows.
    """
    rows = _enough(embeddings)
    return Arrangement("svd", rows.shape[1], rotation=np.ascontiguousarray(svd_rotation(rows).T))


def centred_arrangement(embeddings: npt.ArrayLike) -> Arrangement:
    """The principal components of the unit rows less their mean; fit it on rows (n_fit, full_dim) not measured.

    Raises
    ------
    EmptyInputError : fewer rows than coordinates. ShapeError : unusable rows.

    Taking the mean away changes the angles between rows, so it finds others even at full width. Source: Jolliffe 2002,
    "Principal component analysis", chapter 1.
    """
    rows = normalize(_enough(embeddings)).astype(np.float64)
    centre = rows.mean(axis=0)
    rotation = np.ascontiguousarray(_directions(rows - centre)[0].T, dtype=np.float32)
    return Arrangement("centred", rows.shape[1], rotation=rotation, centre=centre.astype(np.float32))


def tempered_arrangement(embeddings: npt.ArrayLike, gamma: float = GAMMA) -> Arrangement:
    """The SVD's coordinates, each divided by its strength to the power gamma, so that weak ones count for more.

    Parameters
    ----------
    embeddings : rows (n_fit, full_dim) that are not measured
    gamma : 0 is SVD, 1 whitening (without centring). A direction's strength is the root mean square of the unit rows in
        it; directions below the WEAKEST share of the strongest's square count as if they had that

    Raises
    ------
    InvalidInputError : `gamma` outside 0..1. EmptyInputError : fewer rows than coordinates. ShapeError : unusable rows.

    Source: Λ^(-γ/2) Vᵀ in Li, Eustratiadis & Kanoulas 2026, arXiv:2603.19339; they choose γ by width.
    """
    _check_gamma(gamma, gamma)
    rows = normalize(_enough(embeddings)).astype(np.float64)
    directions, squares = _directions(rows)
    weights = np.maximum(squares / squares[0], WEAKEST) ** (-gamma / 2)
    rotation = np.ascontiguousarray(directions.T * weights, dtype=np.float32)
    return Arrangement(f"tempered:{gamma:g}", rows.shape[1], rotation=rotation)


def _enough(embeddings: npt.ArrayLike) -> FloatMatrix:
    rows = check_embeddings(embeddings)
    n_fit, full_dim = rows.shape
    if n_fit < full_dim:
        raise EmptyInputError(
            f"`embeddings` has {n_fit} rows for {full_dim} coordinates; SVD needs {full_dim} or more."
        )
    return rows


def svd_rotation(embeddings: npt.ArrayLike) -> FloatMatrix:
    """The right singular vectors of the unit rows, strongest first, float32 of shape (full_dim, full_dim).

    Nothing is centred: that would change cosine itself, so that even the full width disagreed with the original. With
    fewer rows than coordinates the last directions are any.

    Source: Eckart & Young 1936, "The approximation of one matrix by another of lower rank": the best linear map to any
    number of coordinates for the dot products.
    """
    return np.ascontiguousarray(_directions(normalize(embeddings).astype(np.float64))[0], dtype=np.float32)


def _directions(rows: Floats) -> tuple[Floats, Floats]:
    """The right singular vectors of the rows, (full_dim, full_dim), and their squared values, strongest first."""
    # Eigenvectors of the Gram matrix: its squared condition number is no concern in float64, and it is far cheaper.
    squares, columns = np.linalg.eigh(rows.T @ rows)
    vectors = columns[:, ::-1].T
    # A singular vector's sign is free; its largest coordinate positive makes the same rows give the same bytes.
    signs = np.sign(vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)])
    return vectors * signs[:, None], squares[::-1]


def held_out_rows(n_items: int, full_dim: int, *, seed: int = 0) -> tuple[Ints, Ints]:
    """Rows to fit on and others to measure, ascending: four rows per coordinate or a tenth, at most half.

    Measuring on rows of the fit flatters the SVD by up to 0.1 overlap where rows are few, so neither the queries nor
    the corpus measured may contain them.

    Raises
    ------
    EmptyInputError : half of the rows are fewer than the coordinates.
    """
    n_fit = min(n_items // 2, max(ROWS_PER_COORDINATE * full_dim, round(HELD_OUT_SHARE * n_items)))
    if n_fit < full_dim:
        raise EmptyInputError(
            f"`svd` needs {2 * full_dim} texts, half of them to fit {full_dim} coordinates on; there are {n_items}."
        )
    order = np.random.default_rng(seed).permutation(n_items)
    return np.sort(order[:n_fit]), np.sort(order[n_fit:])


def row_keys(embeddings: npt.ArrayLike) -> Ints:
    """A number per row by which to know it again, the same for the same direction up to rounding, shape (n_items,).

    Raises
    ------
    ShapeError, EmptyInputError : unusable embeddings.

    Source: own definition; a linear hash with random multipliers.
    """
    head = normalize(embeddings)[:, :KEY_COORDINATES]
    multipliers = np.random.default_rng(0).integers(np.iinfo(np.int64).max, size=KEY_COORDINATES, dtype=np.int64)
    digits = np.rint(head * KEY_STEPS).astype(np.int64)
    return np.asarray(digits @ multipliers[: head.shape[1]], dtype=np.int64)  # overflow wraps, as a hash may
