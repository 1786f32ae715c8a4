"""What the rotor did, told as it happens: for those outside this process who hold a pump's word against it.

Taken from the head, not from the firmware: no command id, token or account takes part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from firmware_mock.physics.head import Head
from firmware_mock.world import World


@dataclass(frozen=True, slots=True)
class Began:
    """The rotor was told to turn: for `planned` steps, None for as long as it is left to."""

    planned: int | None


@dataclass(frozen=True, slots=True)
class Ended:
    """It was told to stand, or to turn otherwise, and has made so many steps since it began."""

    planned: int | None
    made: int


class TurningWatch:
    """Tells `tell` of each turning of a head as it begins and as it ends; whoever listened to the head hears first."""

    def __init__(self, world: World, head: Head, tell: Callable[[Began | Ended], None]) -> None:
        self._world = world
        self._head = head
        self._tell = tell
        self._heard_before = head.on_change
        self._present: Began | None = None
        self._began_at_steps = 0
        head.on_change = self._changed

    def _changed(self) -> None:
        self._heard_before()
        self._end()
        if self._head.is_driven:
            self._present = Began(self._head.planned_steps)
            self._began_at_steps = self._steps()
            self._tell(self._present)

    def _end(self) -> None:
        if self._present is not None:
            self._tell(Ended(self._present.planned, self._steps() - self._began_at_steps))
            self._present = None

    def _steps(self) -> int:
        return self._head.counted_steps(self._world.now_ns)
