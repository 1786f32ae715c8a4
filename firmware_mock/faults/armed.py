"""A fault that waits for what sets it off, and what it needs of the device at the end of the line."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from firmware_mock.faults.kinds import NO_TYPE, Direction, Fault
from firmware_mock.world import Event


class Armed:
    """A fault that waits, acts, or has acted; `due` is when it happens, where no frame shows that."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.stream = random.Random(fault.seed)
        self.passed = 0
        self.is_set_off = self.is_spared = False
        self.acted_ns: int | None = None
        self.frames_left = 0
        self.from_ns = self.until_ns = 0
        self.held: bytes | None = None
        self.due: Event | None = None

    @property
    def has_acted(self) -> bool:
        """Whether it did anything."""
        return self.acted_ns is not None

    def is_set_off_by(self, direction: Direction, message_type: int) -> bool:
        """Whether a frame that passes is the one; each that could be is counted."""
        fault = self.fault
        if self.is_set_off or direction is not fault.direction:
            return False
        if fault.message_type not in (NO_TYPE, message_type):
            return False
        self.passed += 1
        return self.passed == fault.nth

    def covers(self, now_ns: int) -> bool:
        """Whether an instant lies in its window."""
        return self.is_set_off and not self.is_spared and self.from_ns <= now_ns < self.until_ns


class Afflicted(Protocol):
    """The device at the end of the line, as far as faults reach into it."""

    @property
    def is_on(self) -> bool: ...

    @property
    def key(self) -> bytes | None: ...

    def guarded(self, act: Callable[[], None]) -> None: ...

    def at_seam(self, seam: int) -> None: ...

    def reset(self, deaf_s: float) -> None: ...

    def cut_power(self, seam: int, off_s: float, delay_ns: int, on_cut: Callable[[], None]) -> None: ...

    def spare(self) -> None: ...

    def stall(self) -> bool: ...

    def rot(self, amount: int, off_s: float, stream: random.Random) -> None: ...

    def hang(self, seam: int, deaf_s: float, on_hang: Callable[[], None]) -> None: ...
