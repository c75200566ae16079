"""The Pareto front: what is worth choosing among points that cost something and are good for something."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import ShapeError
from mrl_viz.truncation import Flags


def pareto_front(cost: npt.ArrayLike, quality: npt.ArrayLike) -> Flags:
    """Which points no other point beats: none costs no more and is better, or costs less and is as good.

    Parameters
    ----------
    cost : array_like of shape (n_points,), or (n_points, n_costs) where it is of several kinds; less is better
    quality : array_like of shape (n_points,); more is better

    Returns
    -------
    ndarray of shape (n_points,), bool; equal points stay together

    Raises
    ------
    ShapeError : the two differ in length.
    """
    paid, got = np.asarray(cost, dtype=np.float64), np.asarray(quality, dtype=np.float64).ravel()
    if len(paid) != len(got):
        raise ShapeError(f"`cost` has {len(paid)} values and `quality` {len(got)}; give one of each per point.")
    losses = np.column_stack([paid, -got])
    beaten = [((losses <= own).all(axis=1) & (losses < own).any(axis=1)).any() for own in losses]
    return ~np.array(beaten, dtype=np.bool_)
