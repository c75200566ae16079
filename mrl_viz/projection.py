"""Maps: where the texts lie in two dimensions at every width, and how far such a picture can be trusted.

PCA projects every width onto ONE basis fitted at full width, so that a point moves only because its vector did. UMAP
stands beside its own noise: the same width drawn with another seed. A map illustrates; the neighbors it is judged by
are the exact ones of the truncated, renormalised vectors.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from mrl_viz.archive import read_result, write_result
from mrl_viz.errors import CancelledError, EmptyInputError, InvalidInputError
from mrl_viz.files import disk_errors
from mrl_viz.measures.lists import Indices, shared_share
from mrl_viz.measures.maps import align, map_quality, procrustes_disparity
from mrl_viz.measures.sample import chosen_rows
from mrl_viz.result import ByWidth
from mrl_viz.sweep import Sweep, check_k, nested_sweep
from mrl_viz.sweep.machine import compiled_code_kept
from mrl_viz.truncation import (
    FloatMatrix,
    Ints,
    Progress,
    check_count,
    check_dims,
    check_embeddings,
    normalize,
    truncate_and_normalize,
)

# More points than these are neither readable nor fluid; a seeded sample is drawn and said so.
MOST_PCA_ITEMS, MOST_UMAP_ITEMS = 10_000, 5_000
# A picture per width: beyond this the page grows by megabytes and nobody looks at them.
MOST_WIDTHS = 24
# Trustworthiness is a mean over texts and costs n comparisons for each: this many texts place it within about 0.005.
QUALITY_ITEMS = 1_000
# Unit vectors that vary less than this in all (float32 rounding of one direction) have no map.
SMALLEST_VARIANCE = 1e-12
# UMAP needs a text, two neighbors and someone who is not a neighbor.
FEWEST_UMAP_ITEMS = 4
# The first map starts at the PCA map, so that its large-scale order is not the seed's. A warm start moves gently: at a
# tenth of the learning rate it reaches the trustworthiness of a map drawn from scratch while an unchanged width hardly
# moves.
COLD_EPOCHS, WARM_EPOCHS, WARM_LEARNING_RATE = 300, 200, 0.1
# Equal texts are at distance 0, not at the last bit of a float64 sum.
DISTANCE_DECIMALS = 9
# Saved maps kept per folder, the last used; one of 5,000 texts at 7 widths takes 0.6 MB.
MOST_SAVED = 64
SCHEMA = 1
# What is there for every text, which a summary leaves out.
_ARRAYS = ("items", "positions", "overlap_lost", "relative_displacement")
# numba's fallback threading layer ends the process when two threads compute at once, as two visitors of an app may.
_ONE_UMAP = threading.Lock()


@dataclass(frozen=True)
class WidthMaps(ByWidth):
    """One map per width, what each is worth, and how far each text moves.

    `method` : "pca" or "umap"; `dims` : ascending widths, the last is the full one; `n_items` : texts there are.
    `items` : int64 of shape (n_shown,), the texts shown. Neighbors are sought among them.
    `positions` : float32 of shape (n_dims, n_shown, 2), in one frame: cosine units for PCA, UMAP's own for UMAP.
    `trustworthiness`, `continuity`, `kept_in_map` : per width, in [0, 1], as in `MapQuality`; the first two over
    `n_judged` texts.
    `disparity` : per width, Procrustes disparity to the full-width map, in [0, 1].
    `movement` : per width, mean distance of a text to its place at the next wider width, in radii (RMS distance from
    the centre) of the full-width map; 0 at full width.
    `overlap_lost` : float32 of shape (n_dims, n_shown), share of the k full-width neighbors that the true vectors lose.
    `relative_displacement` : float32 of the same shape, how far a text moves from full width beyond the mean move of
    its k full-width neighbors, in radii of the full-width map.
    `explained` : PCA, the share of variance on either axis at full width. `seed_disparity` : UMAP, Procrustes disparity
    of two full-width maps drawn from scratch with different seeds. `restart_disparity` : UMAP, of two warm starts at
    full width.
    """

    _without = _ARRAYS
    _also = ("n_shown",)
    _columns = ("trustworthiness", "continuity", "kept_in_map", "disparity", "movement")

    method: str
    dims: tuple[int, ...]
    k: int
    seed: int
    n_items: int
    n_judged: int
    trustworthiness: tuple[float, ...]
    continuity: tuple[float, ...]
    kept_in_map: tuple[float, ...]
    disparity: tuple[float, ...]
    movement: tuple[float, ...]
    explained: tuple[float, float] | None
    seed_disparity: float | None
    restart_disparity: float | None
    items: Ints
    positions: npt.NDArray[np.float32]
    overlap_lost: npt.NDArray[np.float32]
    relative_displacement: npt.NDArray[np.float32]

    @property
    def is_sample(self) -> bool:
        """Whether only some of the texts are shown."""
        return self.n_shown < self.n_items

    @property
    def n_shown(self) -> int:
        """How many texts are shown."""
        return len(self.items)

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[0])

    def takeaway_at(self, dim: int) -> str:
        """What the map of one width shows of the true neighbors, and how far it differs from the full width's."""
        name, n_shown, level = self.method.upper(), self.n_shown, self.dims.index(dim)
        sample = f" of {n_shown:,} sampled from {self.n_items:,} texts" if self.is_sample else f" of {n_shown:,} texts"
        full_dim, full = self.dims[-1], self.kept_in_map[-1]
        start = f"The {name} map{sample} shows {full:.0%} of a text's {self.k} true neighbors at {full_dim} dims"
        if dim == full_dim:
            return f"{start}."
        start += f" and {self.kept_in_map[level]:.0%} at {dim}"
        differs = self.disparity[level]
        if self.seed_disparity is None:
            return f"{start}; the layout then differs from full width by {differs:.2f} (0 same, 1 unrelated)."
        verdict = "more than" if differs > self.seed_disparity else "no more than"
        return (
            f"{start}; the layout then differs from full width by {differs:.2f}, {verdict} another seed alone changes "
            f"it ({self.seed_disparity:.2f})."
        )


def pca_maps(
    embeddings: npt.ArrayLike, dims: Iterable[int], *, k: int = 10, sweep: Sweep | None = None,
    most_items: int = MOST_PCA_ITEMS, seed: int = 0,
) -> WidthMaps:  # fmt: skip
    """Every width's renormalised vectors, as zero-padded prefixes, on the two main axes of the full-width vectors.

    An axis points where its largest loading is positive; one without variance (rank-1 data) is 0 everywhere.

    Parameters
    ----------
    embeddings : array_like of shape (n_items, full_dim), at least 2 rows
    dims : widths in 1..full_dim, `full_dim` is added; at most 24
    k : neighbors that the maps are judged by, 1 to n_shown - 1
    sweep : of the same rows against themselves, with these widths and at least k neighbors; None sweeps the rows shown.
        Not used when a sample is drawn, whose neighbors are others.
    most_items : above this many rows a sample drawn with `seed` is shown

    Raises
    ------
    EmptyInputError : fewer than 2 rows. InvalidInputError : all rows have one direction; `k`, `most_items`, too many
    widths, or a sweep of something else. DimensionError, ShapeError : as in `nested_sweep`.

    Source: Pearson 1901, principal axes; one basis for all widths: own definition.
    """
    rows, items, dims = _prepare(embeddings, dims, most_items, seed, 2)
    shown = rows[items]
    if sweep is None or len(items) < len(rows):
        sweep = nested_sweep(shown, dims=dims, k=k)
    else:
        _check_sweep(sweep, len(rows), dims, k)
    positions, explained = _pca_positions(shown, dims)
    return _assemble("pca", shown, dims, k, seed, len(rows), items, positions, sweep, explained=explained)


def umap_maps(
    embeddings: npt.ArrayLike, dims: Iterable[int], *, k: int = 10, n_neighbors: int = 15, seed: int = 0,
    most_items: int = MOST_UMAP_ITEMS, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None,
) -> WidthMaps:  # fmt: skip
    """UMAP at every width from exact neighbors, warm-started from one full-width map and rotated onto the full width's.

    Each map depends on its own width and the full one only, so adding a width changes no other map. The full width is
    warm-started too: it differs from the others by its neighbors and by nothing else.

    Parameters
    ----------
    embeddings, dims, k : as in `pca_maps`, at least 4 rows
    n_neighbors : UMAP's, which counts the text itself; 2 to 200, fewer texts take n_shown - 1
    seed : of UMAP and of the sample
    most_items : as in `pca_maps`
    progress : called with (maps drawn, maps in all), three maps beyond the widths
    cancelled : asked before each map

    Raises
    ------
    EmptyInputError : fewer than 4 rows. CancelledError : `cancelled` said so. InvalidInputError :
    `n_neighbors`, or as in `pca_maps`. DimensionError, ShapeError : as in `nested_sweep`.

    Source: McInnes, Healy & Melville 2018, arXiv:1802.03426; started from PCA after Kobak & Linderman 2021,
    doi:10.1038/s41587-020-00809-z; the shared warm start and its noise: own definition.
    """
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, (int, np.integer)) or not 2 <= n_neighbors <= 200:
        raise InvalidInputError(f"`n_neighbors` is {n_neighbors!r}; choose 2 to 200.")
    rows, items, dims = _prepare(embeddings, dims, most_items, seed, FEWEST_UMAP_ITEMS)
    rows_shown = rows[items]
    n_shown = len(items)
    check_k(k, n_shown - 1)
    n_neighbors = int(min(n_neighbors, n_shown - 1))
    start = _pca_positions(rows_shown, dims[-1:])[0][0]
    sweep = nested_sweep(rows_shown, dims=dims, k=max(k, n_neighbors - 1))
    n_maps, done = len(dims) + 3, 0

    def draw(level: int, start: FloatMatrix, seed: int, epochs: int, learning_rate: float) -> FloatMatrix:
        nonlocal done
        if cancelled and cancelled():
            raise CancelledError(f"The UMAP maps were cancelled after {done} of {n_maps}; nothing was kept.")
        unit = truncate_and_normalize(rows_shown.astype(np.float64), dims[level])
        neighbors = sweep.indices[level, :, : n_neighbors - 1]
        result = _umap_positions(unit, neighbors, start, seed, epochs, learning_rate)
        done += 1
        if progress:
            progress(done, n_maps)
        return result

    full, other_seed = len(dims) - 1, (seed + 1) % 2**32
    base = draw(full, start, seed, COLD_EPOCHS, 1.0)
    other_base = draw(full, start, other_seed, COLD_EPOCHS, 1.0)
    widest = draw(full, base, seed, WARM_EPOCHS, WARM_LEARNING_RATE)
    again = draw(full, base, other_seed, WARM_EPOCHS, WARM_LEARNING_RATE)
    maps = [align(draw(level, base, seed, WARM_EPOCHS, WARM_LEARNING_RATE), widest) for level in range(full)]
    positions = np.stack([*maps, widest]).astype(np.float32)
    return _assemble(
        "umap", rows_shown, dims, k, seed, len(rows), items, positions, sweep,
        seed_disparity=procrustes_disparity(base, other_base), restart_disparity=procrustes_disparity(widest, again),
    )  # fmt: skip


def _prepare(
    embeddings: npt.ArrayLike, dims: Iterable[int], most_items: int, seed: int, fewest: int
) -> tuple[FloatMatrix, Ints, tuple[int, ...]]:
    """Checked rows, the items to show, and the widths with the full one."""
    rows = check_embeddings(embeddings)
    dims = check_dims((*dims, rows.shape[1]), rows.shape[1])
    if len(dims) > MOST_WIDTHS:
        raise InvalidInputError(
            f"`dims` has {len(dims)} widths but maps are drawn for at most {MOST_WIDTHS}; choose fewer."
        )
    if len(rows) < fewest:
        raise EmptyInputError(
            f"`embeddings` has {len(rows)} rows but this map needs at least {fewest}; add more texts."
        )
    check_count("most_items", most_items, fewest)
    check_count("seed", seed, 0, 2**32 - 1)
    return rows, chosen_rows(len(rows), most_items, seed), dims


def _check_sweep(sweep: Sweep, n_items: int, dims: tuple[int, ...], k: int) -> None:
    check_k(k, n_items - 1)
    missing = sorted(set(dims) - set(sweep.dims))
    if not sweep.is_self or sweep.n_items != n_items or sweep.k < k or missing:
        kind = "itself" if sweep.is_self else "queries"
        raise InvalidInputError(
            f"`sweep` is of {sweep.n_items} texts against {kind} with k = {sweep.k}, but the map needs {n_items} texts "
            f"against themselves, k = {k} and the widths {list(dims)}; sweep these rows or leave it out."
        )


def _pca_positions(rows: FloatMatrix, dims: tuple[int, ...]) -> tuple[npt.NDArray[np.float32], tuple[float, float]]:
    """Positions of shape (n_dims, n_items, 2) and the share of variance of both axes."""
    from scipy.linalg import eigh

    n_items, full_dim = rows.shape
    unit = normalize(rows.astype(np.float64))
    mean = unit.mean(axis=0)
    centred = unit - mean
    variance = float(np.einsum("ij,ij->", centred, centred))
    if variance <= SMALLEST_VARIANCE * n_items:
        raise InvalidInputError(
            "`embeddings` all have the same direction, or are all zero; a map needs at least two different texts."
        )
    size = min(n_items, full_dim)
    # The smaller of the two Gram matrices has the same leading eigenvalues.
    gram = centred.T @ centred if size == full_dim else centred @ centred.T
    values, vectors = eigh(gram, subset_by_index=[max(0, size - 2), size - 1])
    axes = np.zeros((full_dim, 2))
    shares = [0.0, 0.0]
    for axis, (value, vector) in enumerate(zip(values[::-1], vectors.T[::-1])):
        if value <= SMALLEST_VARIANCE * variance:
            continue  # no variance: any direction would do, so none is taken
        loading = vector if size == full_dim else centred.T @ vector
        axes[:, axis] = loading / np.linalg.norm(loading) * np.sign(loading[np.argmax(np.abs(loading))])
        shares[axis] = float(value / variance)
    positions = [truncate_and_normalize(unit, dim) @ axes[:dim] - mean @ axes for dim in dims]
    # float32 drops the last bits, in which equal rows may differ after a matrix product.
    return np.stack(positions).astype(np.float32), (shares[0], shares[1])


@cache
def _umap() -> ModuleType:
    """umap-learn, which compiles for 15 seconds at its first map: that is kept for the next process."""
    with compiled_code_kept() as is_kept:
        import umap

        modules = [module for name, module in sys.modules.items() if name.startswith("umap.") and is_kept]
        for function in chain.from_iterable(vars(module).values() for module in modules):
            if hasattr(function, "enable_caching"):
                function.enable_caching()
    found: ModuleType = umap
    return found


def _umap_positions(
    unit: FloatMatrix, neighbors: Indices, start: FloatMatrix, seed: int, epochs: int, learning_rate: float
) -> FloatMatrix:
    """One UMAP map of shape (n_items, 2), of unit rows with their neighbors (n_items, n_neighbors - 1)."""
    # UMAP wants each item first in its own list and writes into the arrays. It ignores lists shorter than `n_neighbors`
    # and does not cut longer ones below 4,096 rows.
    indices = np.column_stack([np.arange(len(unit)), neighbors]).astype(np.int32)
    distances = np.zeros(indices.shape, dtype=np.float32)
    for place, neighbor in enumerate(neighbors.T, start=1):
        # Not the sweep's float32 cosines: their last bits depend on the other widths, and the layout magnifies them.
        cosine = np.einsum("ij,ij->i", unit, unit[neighbor])
        distances[:, place] = np.clip(np.round(1 - cosine, DISTANCE_DECIMALS), 0, 2)
    spread = np.ptp(start, axis=0)
    if spread.min() <= 0:  # UMAP stretches both axes to one length: a line gets a width of its own
        start = start + np.random.default_rng(seed).normal(scale=1e-4 * spread.max(), size=start.shape)
    with _ONE_UMAP, warnings.catch_warnings():
        # On import: no TensorFlow. In the fit: neighbors without a search index cannot place new texts, and none are
        # placed.
        warnings.simplefilter("ignore")
        reducer = _umap().UMAP(
            n_neighbors=indices.shape[1], init=start.astype(np.float32), metric="cosine", random_state=seed, n_jobs=1,
            n_epochs=epochs, learning_rate=learning_rate, precomputed_knn=(indices, distances, None),
            # Else opposite texts, at cosine distance 2, would fall off the map.
            disconnection_distance=np.inf,
        )  # fmt: skip
        # With the neighbors given, the rows count and their values do not: any finite matrix of that height serves.
        return np.asarray(reducer.fit_transform(start.astype(np.float32)), dtype=np.float32)


def _assemble(
    method: str, rows: FloatMatrix, dims: tuple[int, ...], k: int, seed: int, n_items: int,
    items: Ints, positions: npt.NDArray[np.float32], sweep: Sweep, *,
    explained: tuple[float, float] | None = None, seed_disparity: float | None = None,
    restart_disparity: float | None = None,
) -> WidthMaps:  # fmt: skip
    """The result, with everything that is measured on the maps."""
    judged = chosen_rows(len(rows), QUALITY_ITEMS, seed)
    neighbors = np.stack([sweep.indices[sweep.at(dim), :, :k] for dim in dims])
    quality = [
        map_quality(truncate_and_normalize(rows, dim), positions[level], neighbors[level], judged=judged)
        for level, dim in enumerate(dims)
    ]
    wide = positions.astype(np.float64)
    full = wide[-1]
    radius = float(np.sqrt(((full - full.mean(axis=0)) ** 2).sum(axis=1).mean()))
    steps = np.linalg.norm(np.diff(wide, axis=0), axis=2).mean(axis=1) / radius
    moves = wide - full
    beyond = moves - moves[:, neighbors[-1]].mean(axis=2)
    lost = 1 - shared_share(neighbors, neighbors[-1])
    return WidthMaps(
        method=method, dims=dims, k=int(k), seed=int(seed), n_items=n_items, n_judged=len(judged), items=items,
        positions=positions, trustworthiness=tuple(q.trustworthiness for q in quality),
        continuity=tuple(q.continuity for q in quality), kept_in_map=tuple(q.kept_in_map for q in quality),
        disparity=(*(procrustes_disparity(full, other) for other in wide[:-1]), 0.0), movement=(*steps.tolist(), 0.0),
        explained=explained, seed_disparity=seed_disparity, restart_disparity=restart_disparity,
        overlap_lost=lost.astype(np.float32),
        relative_displacement=(np.linalg.norm(beyond, axis=2) / radius).astype(np.float32),
    )  # fmt: skip


def map_key(fingerprint: str, **parameters: object) -> str:
    """A name for a saved map, 24 hexadecimal digits: of the embeddings' fingerprint and every parameter."""
    text = json.dumps([SCHEMA, fingerprint, parameters], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def save_map(result: WidthMaps, folder: Path, key: str) -> Path:
    """Write maps to `folder` under a key from `map_key`, whole or not at all; the longest unused beyond 64 are removed.

    Raises
    ------
    StoreError : the folder cannot be written. InvalidInputError : `key` has more than letters and digits.
    """
    path = _map_path(folder, key)
    with disk_errors(folder, "set MRL_VIZ_CACHE to a folder you own"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_result(result, path, key=key)
        for old in sorted(Path(folder).glob("*.npz"), key=lambda file: file.stat().st_mtime)[:-MOST_SAVED]:
            old.unlink(missing_ok=True)
    return path


def load_map(folder: Path, key: str) -> WidthMaps | None:
    """The maps saved under a key, None where there are none or the file is damaged; raises as `save_map`."""
    path = _map_path(folder, key)
    found = read_result(WidthMaps, path, key=key)
    if found is not None:
        with suppress(OSError):  # a folder that is only read from keeps no order of use
            os.utime(path)
    return found


def _map_path(folder: Path, key: str) -> Path:
    if not (key.isascii() and key.isalnum()):
        raise InvalidInputError(f"`key` is {key!r}; it may have letters and digits only, as `map_key` makes them.")
    return Path(folder) / f"{key}.npz"
