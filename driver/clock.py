"""Time for the driver: the `Clock` that everything reads, and one deadline object on top."""

from __future__ import annotations

import time
from typing import Protocol

RESOLUTION_S = 1e-9


class Clock(Protocol):
    """A monotonic clock that can wait. `firmware_mock.World` fits it with virtual time."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass on this clock."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class ScaledClock:
    """The process clock of a rig served at `speed`: that many seconds pass in one second of `base`.

    Raises:
        ValueError: `speed` is not positive.
    """

    def __init__(self, speed: float, base: Clock | None = None) -> None:
        if not speed > 0.0:
            raise ValueError(f"a clock's speed must be above 0, not {speed}")
        self.speed = speed
        self._base: Clock = base if base is not None else SystemClock()
        self._origin_s = self._base.monotonic()

    def monotonic(self) -> float:
        return (self._base.monotonic() - self._origin_s) * self.speed

    def sleep(self, seconds: float) -> None:
        self._base.sleep(seconds / self.speed)


class Deadline:
    """An instant `timeout_s` from now on a clock; None never comes.

    What is left below a nanosecond counts as nothing: a virtual clock cannot sleep it away.
    """

    def __init__(self, clock: Clock, timeout_s: float | None) -> None:
        self._clock = clock
        self._end_s = None if timeout_s is None else clock.monotonic() + timeout_s

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative; infinite without a time-out."""
        return float("inf") if self._end_s is None else max(0.0, self._end_s - self._clock.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the instant has come."""
        return self.remaining_s < RESOLUTION_S
