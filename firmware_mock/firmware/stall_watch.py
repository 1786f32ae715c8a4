"""The comparison of encoder and timer: every so often in a run, did the rotor make a step since the time before?

A check that finds what the one before found changes nothing, so none of those is an event: the instant of the next one
that will find something new is computed when the rotor slips, follows again, or is told something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.world import Event, World
from protocol import EventCode

_US_PER_S = 1_000_000


class StallWatch:
    """Raises and ends the memory's `motor_stalled`, which is what the alarm is made of.

    Checks come every `interval_s` of the device's time from the beginning of a run. One that finds no step since the
    one before finds a stall, so a stall is found after one to two intervals; any later one that finds steps ends it.
    Call `watch` whenever the motor was told something, and `end` when nobody is there to look.
    """

    def __init__(
        self,
        world: World,
        nvram: Nvram,
        motor: Motor,
        clock: DeviceClock,
        interval_s: float,
        announce: Callable[[EventCode, int], None],
    ) -> None:
        self._world = world
        self._nvram = nvram
        self._motor = motor
        self._announce = announce
        self._interval_ns = clock.true_ns(round(interval_s * _US_PER_S))
        self._due: Event | None = None
        self._due_in_run_of_ns: int | None = None

    def watch(self) -> None:
        """Come back at the check that will find the rotor standing or turning, whichever is not known yet."""
        is_same_run = self._due_in_run_of_ns == self._motor.began_ns
        awaited_ns = self._due.time_ns if self._due is not None and is_same_run else None
        self.end()
        check_ns = None if self._nvram.is_lost else self._next_check_ns(awaited_ns)
        if check_ns is not None:
            self._due_in_run_of_ns = self._motor.began_ns
            self._due = self._world.at(check_ns, self._nvram.guarded(self._check))

    def end(self) -> None:
        """Look no longer."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def seen_to_turn(self) -> None:
        """All steps that were due were seen: a stall is over."""
        memory = self._nvram.memory
        if memory.motor_stalled:
            self._nvram.write(replace(memory, motor_stalled=False))
            self._announce(EventCode.MOTOR_RESTARTED, 0)

    def _next_check_ns(self, awaited_ns: int | None) -> int | None:
        """A check that was awaited still finds a stall where the rotor is free again and makes no step before it."""
        began_ns, unseen_ns = self._motor.began_ns, self._motor.unseen_since_ns
        if began_ns is None:
            return None
        if self._nvram.memory.motor_stalled:
            turns_ns = self._motor.counts_ns(self._motor.steps + 1)
            return None if turns_ns is None else self._check_from(began_ns, turns_ns)
        if unseen_ns is None:
            turns_ns = self._motor.counts_ns(self._motor.steps + 1)
            is_too_late = awaited_ns is not None and (turns_ns is None or turns_ns > awaited_ns)
            return awaited_ns if is_too_late else None
        return self._check_from(began_ns, unseen_ns) + self._interval_ns

    def _check_from(self, began_ns: int, instant_ns: int) -> int:
        """The first check at or after an instant; the beginning of the run counts as one."""
        return began_ns - (began_ns - instant_ns) // self._interval_ns * self._interval_ns

    def _check(self) -> None:
        self._due = None
        if self._nvram.memory.motor_stalled:
            self.seen_to_turn()
        else:
            self._nvram.write(replace(self._nvram.memory, motor_stalled=True))
        self.watch()
