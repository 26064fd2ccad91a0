"""Summaries of panes of many batches, in numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streams.core.detectors.summary import CAP, DetectorStep, Summary

_CHUNK = 64


def summarise_bulk(pane_ms: int, steps: Sequence[DetectorStep], bets: int) -> Summary:
    """Return what ``summary.summarise`` returns, up to rounding, for many observations at once.

    Within a chunk Q = P_n·Σ_j 1/P_j over the products P_j before each factor; chunks combine as in ``summary.then``.

    Source: the recursion R ← F·(R + 1) of arXiv 2203.03532 (2022), written out over a chunk.

    Args:
        pane_ms: Start of the pane.
        steps: Its observations in order, at least one; factors above 0 and below 10.
        bets: Number of bets K.
    """
    known: dict[int, int] = {}
    shapes: list[DetectorStep] = []
    index = []
    for step in steps:
        place = known.get(id(step))
        if place is None:
            place = known[id(step)] = len(shapes)
            shapes.append(step)
        index.append(place)
    order = np.array(index)
    factors = np.array([step.factors for step in shapes])
    gain, gathered = np.ones(bets), np.zeros(bets)
    for at in range(0, len(order), _CHUNK):
        products = np.cumprod(factors[order[at : at + _CHUNK]], axis=0)
        last = products[-1]
        own = last * (1.0 + (1.0 / products[:-1]).sum(axis=0))
        gathered = np.minimum(CAP, gathered * last + own)
        gain = np.minimum(CAP, gain * last)
    since = np.cumsum(np.array([step.since for step in shapes])[order])
    better = np.cumsum(np.array([step.better for step in shapes])[order])
    units, bad = (np.array([step[field] for step in shapes])[order] for field in (3, 4))
    lowest = np.minimum.accumulate(np.minimum(0.0, since))
    zeros = np.flatnonzero(since <= lowest)
    tail = int(zeros[-1]) + 1 if len(zeros) else 0
    top = float(since[-1] - lowest[-1])
    return Summary(
        tuple(gain.tolist()),
        tuple(gathered.tolist()),
        float(since[-1]),
        float(lowest[-1]),
        top,
        pane_ms if tail < len(order) else None,
        int(units[tail:].sum()),
        int(bad[tail:].sum()),
        float(better[-1]),
        float(better[-1] - min(0.0, float(better.min()))),
        int(units.sum()),
        int(bad.sum()),
        len(order),
    )
