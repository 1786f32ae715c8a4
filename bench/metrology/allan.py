"""Allan deviation of a weighing record: the noise of a flow read from the balance, against averaging time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrology._checks import FloatArray, require_positive


@dataclass(frozen=True, slots=True, eq=False)
class AllanDeviation:
    """Allan deviation of the mass flow at each averaging time; `n_differences` second differences went into each."""

    tau_s: FloatArray
    deviation_mg_per_s: FloatArray
    n_differences: tuple[int, ...]


def allan_deviation(
    mass_mg: FloatArray, *, sample_interval_s: float, taus_s: Sequence[float] | None = None
) -> AllanDeviation:
    """Overlapping Allan deviation with mass as phase x and flow as y: √(⟨(x_{i+2} − 2x_{i+1} + x_i)²⟩ / 2τ²), in mg/s.

    A linear drift cancels: this adds to the uncertainty of the zero slope and never replaces it. White reading noise s
    shows as √3·s/τ, a random walk w as w/√τ.

    Args:
        mass_mg: readings at equal intervals, in mg.
        sample_interval_s: the interval, in s.
        taus_s: averaging times in s, multiples of the interval, none above a quarter of the record; by default the
            interval doubled again and again up to there.

    Raises:
        ValueError: fewer than 5 readings, a reading that is not finite, an averaging time that is no multiple of the
            interval or longer than a quarter of the record.
    """
    require_positive("sample_interval_s", sample_interval_s)
    mass = np.asarray(mass_mg, dtype=np.float64)
    if mass.ndim != 1 or len(mass) < 5:
        raise ValueError(f"an Allan deviation needs a row of at least 5 readings, got shape {mass.shape}")
    if not np.isfinite(mass).all():
        raise ValueError("an Allan deviation needs finite readings without gaps; interpolate or split the record")
    longest = (len(mass) - 1) // 4
    if taus_s is None:
        strides = [2**power for power in range(longest.bit_length())]
    else:
        strides = [_stride(tau_s, sample_interval_s, longest) for tau_s in taus_s]
    deviations = []
    counts = []
    for stride in strides:
        second = mass[2 * stride :] - 2.0 * mass[stride:-stride] + mass[: -2 * stride]
        deviations.append(float(np.sqrt(np.mean(second * second) / 2.0)) / (stride * sample_interval_s))
        counts.append(len(second))
    return AllanDeviation(np.array(strides) * sample_interval_s, np.array(deviations), tuple(counts))


def _stride(tau_s: float, sample_interval_s: float, longest: int) -> int:
    require_positive("tau_s", tau_s)
    stride = round(tau_s / sample_interval_s)
    if stride < 1 or abs(tau_s / sample_interval_s - stride) > 1e-6:
        raise ValueError(f"averaging time {tau_s:g} s is no multiple of the sample interval {sample_interval_s:g} s")
    if stride > longest:
        raise ValueError(
            f"averaging time {tau_s:g} s is longer than a quarter of the record; "
            f"at most {longest * sample_interval_s:g} s can be judged from it"
        )
    return stride
