"""The rules other dashboards use, for comparison only: the product fires on none of them.

Each takes audits as a matrix of 0 (right) and 1 (wrong), one row a run, and tells at which audits its alarm is on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from streams.core.detectors.bets import ShareBets

Bits = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

TARGET = 0.95
WINDOW = 200
LEAST = 20
Z_95 = 1.959963984540054
CUSUM_BAR = 152
"""Bar at which the counter +13/-1 runs 206,000 audits to a false alarm at 95% (``cusum_run_length``)."""


def window_sums(wrong: Bits, window: int) -> tuple[Floats, Floats]:
    """Return (wrong, audits) among the last ``window`` audits, after every audit."""
    total = np.cumsum(wrong, axis=1, dtype=np.int32)
    held = total.copy()
    held[:, window:] -= total[:, :-window]
    seen = np.minimum(np.arange(1, wrong.shape[1] + 1), window)
    return held.astype(np.float64), np.broadcast_to(seen.astype(np.float64), held.shape)


def wilson_high(wrong: Floats, seen: Floats) -> Floats:
    """Return the upper end of the 95% Wilson interval of accuracy (Wilson 1927)."""
    share, z2 = 1.0 - wrong / seen, Z_95 * Z_95
    spread = Z_95 * np.sqrt(share * (1.0 - share) / seen + z2 / (4.0 * seen * seen))
    high: Floats = (share + z2 / (2.0 * seen) + spread) / (1.0 + z2 / seen)
    return high


def raw_window(wrong: Bits) -> Flags:
    """Point estimate of the last 200 audits below target.

    Source: docs/statistics.md, One drop under three rules.
    """
    bad, seen = window_sums(wrong, WINDOW)
    alarm: Flags = (1.0 - bad / seen < TARGET - 1e-12) & (seen >= LEAST)
    return alarm


def wilson_window(wrong: Bits) -> Flags:
    """Wilson interval of the last 200 audits wholly below target."""
    bad, seen = window_sums(wrong, WINDOW)
    return (wilson_high(bad, seen) < TARGET) & (seen >= LEAST)


def wilson_cumulative(wrong: Bits) -> Flags:
    """Wilson interval of all audits so far wholly below target."""
    bad, seen = window_sums(wrong, wrong.shape[1])
    return (wilson_high(bad, seen) < TARGET) & (seen >= LEAST)


def betting(wrong: Bits) -> Flags:
    """Mixture betting e-process from the first audit on, at 1/α = 20 (Waudby-Smith, Ramdas 2020)."""
    total = np.cumsum(wrong, axis=1, dtype=np.int32)
    good = np.arange(1, wrong.shape[1] + 1) - total
    bets = ShareBets.of(1.0 - TARGET)
    grown = np.zeros(wrong.shape)
    for bet in bets.lambdas:
        up, down = np.log1p(bet * TARGET), np.log1p(bet * (TARGET - 1.0))
        grown += np.exp(np.minimum(230.0, total * up + good * down))
    alarm: Flags = grown / len(bets.lambdas) >= 20.0
    return alarm


def cusum(wrong: Bits) -> Flags:
    """Bernoulli CUSUM for a doubled error share (Page 1954): +13 a wrong audit, -1 a right one."""
    held = np.zeros(wrong.shape[0], dtype=np.int64)
    on = np.zeros(wrong.shape, dtype=bool)
    for at in range(wrong.shape[1]):
        held = np.maximum(0, held + np.where(wrong[:, at], 13, -1))
        on[:, at] = held >= CUSUM_BAR
    return on


RULES: dict[str, Callable[[Bits], Flags]] = {
    "raw point estimate, last 200": raw_window,
    "Wilson 95%, last 200": wilson_window,
    "Wilson 95%, cumulative": wilson_cumulative,
    "betting e-process, 1/α=20": betting,
    "Bernoulli CUSUM, ARL 206k": cusum,
}


def cusum_run_length(bar: int, share: float = 1.0 - TARGET, up: int = 13) -> float:
    """Return the exact mean run length of the CUSUM to its bar (Brook, Evans, Biometrika 59, 1972).

    Args:
        bar: Value that fires.
        share: True share of wrong audits.
        up: What a wrong audit adds.
    """
    moves = np.zeros((bar, bar))
    for held in range(bar):
        moves[held, max(0, held - 1)] += 1.0 - share
        if held + up < bar:
            moves[held, held + up] += share
    return float(np.linalg.solve(np.eye(bar) - moves, np.ones(bar))[0])
