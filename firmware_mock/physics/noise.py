"""Noise of a balance as continuous-time processes with exact transitions: how often one looks changes no statistics."""

from __future__ import annotations

from math import exp, sqrt
from random import Random


class Flicker:
    """1/f noise as a sum of Ornstein-Uhlenbeck processes of equal strength, one per factor of four in correlation time.

    From `fastest_s` on, `count` of them; the spectral density falls as 1/f between the slowest and the fastest.
    `value` has the given standard deviation, in mg. Asked in time order.
    """

    def __init__(self, stream: Random, standard_deviation_mg: float, *, fastest_s: float = 4.0, count: int = 6) -> None:
        self._gauss = stream.gauss
        self._each_mg = standard_deviation_mg / sqrt(count)
        self._slowest_s = fastest_s * 4.0 ** (count - 1)
        self._states = [self._gauss(0.0, self._each_mg) for _ in range(count)]

    def advance(self, elapsed_s: float) -> float:
        """The sum after `elapsed_s` more seconds, in mg."""
        states, gauss, each_mg = self._states, self._gauss, self._each_mg
        kept = exp(-elapsed_s / self._slowest_s)
        total = 0.0
        for index in range(len(states) - 1, -1, -1):
            squared = kept * kept
            state = kept * states[index] + gauss(0.0, each_mg * sqrt(1.0 - squared))
            states[index] = state
            total += state
            kept = squared * squared
        return total


class OrnsteinUhlenbeck:
    """White noise behind a first-order filter: correlated over the filter time, independent beyond it."""

    def __init__(self, stream: Random, standard_deviation_mg: float) -> None:
        self._gauss = stream.gauss
        self._standard_deviation_mg = standard_deviation_mg
        self._state = self._gauss(0.0, standard_deviation_mg)

    def advance(self, elapsed_s: float, correlation_s: float) -> float:
        """The noise after `elapsed_s` more seconds, in mg; a correlation time of 0 gives independent values."""
        kept = exp(-elapsed_s / correlation_s) if correlation_s > 0.0 else 0.0
        step_mg = self._standard_deviation_mg * sqrt(1.0 - kept * kept)
        self._state = kept * self._state + self._gauss(0.0, step_mg)
        return self._state


class RandomWalk:
    """A Wiener process: independent increments with a variance that grows with time."""

    def __init__(self, stream: Random, step_mg_per_sqrt_h: float) -> None:
        self._gauss = stream.gauss
        self._step_mg_per_sqrt_s = step_mg_per_sqrt_h / 60.0
        self._state = 0.0

    def advance(self, elapsed_s: float) -> float:
        """Where the walk stands after `elapsed_s` more seconds, in mg."""
        self._state += self._gauss(0.0, self._step_mg_per_sqrt_s * sqrt(elapsed_s))
        return self._state


class ShotNoise:
    """Disturbances at random instants, each of random sign, decaying exponentially: doors, footfalls.

    `acted` counts those that were still visible above `visible_mg` when somebody looked.
    """

    def __init__(self, stream: Random, *, per_h: float, amplitude_mg: float, decay_s: float, visible_mg: float) -> None:
        self.acted = 0
        self._stream = stream
        self._per_s = per_h / 3600.0
        self._amplitude_mg = amplitude_mg
        self._decay_s = decay_s
        self._visible_mg = visible_mg
        self._state_mg = 0.0
        self._fresh = 0
        self._until_next_s = self._wait_s()

    def advance(self, elapsed_s: float) -> float:
        """The sum of all disturbances after `elapsed_s` more seconds, in mg."""
        while elapsed_s >= self._until_next_s:
            elapsed_s -= self._until_next_s
            self._state_mg *= exp(-self._until_next_s / self._decay_s)
            self._state_mg += self._stream.choice((-1.0, 1.0)) * self._stream.expovariate(1.0) * self._amplitude_mg
            self._fresh += 1
            self._until_next_s = self._wait_s()
        self._until_next_s -= elapsed_s
        self._state_mg *= exp(-elapsed_s / self._decay_s)
        if self._fresh:
            if self._state_mg > self._visible_mg or self._state_mg < -self._visible_mg:
                self.acted += self._fresh
            self._fresh = 0
        return self._state_mg

    def _wait_s(self) -> float:
        return self._stream.expovariate(self._per_s)
