"""A recommendation held against queries that had no part in it."""

from dataclasses import replace

import numpy as np


def subset(candidates, queries):
    """The same plans judged by some of the queries only, given by position."""
    rows = np.asarray(queries)
    full, gold = (None if part is None else part[..., rows] for part in (candidates.full, candidates.gold))
    return replace(candidates, values=candidates.values[:, :, rows], full=full, gold=gold)


def quality_on(others, decision):
    """The quality of the recommended plan as the other queries measure it."""
    assert (others.metric, others.fingerprint) == (decision.metric, decision.fingerprint)
    return others.qualities[others.plans.index(decision.plan), others.ks.index(others.k)]
