"""Looks at a pump after each event of its world, and notes which safety property was broken when."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from firmware_mock.firmware.pump import PumpFirmware
from firmware_mock.monitors.catalogue import CHECKS
from firmware_mock.monitors.moment import Exchange, Finding, Issued, moment
from protocol import Commit, EventRecord, Message, Proposal, decode_payload

_MOST_PER_PROPERTY = 5
_PROPOSALS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Violation:
    """Which property was broken, when, and how."""

    identifier: str
    at_ns: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.identifier} at {self.at_ns / 1e9:.6f} s: {self.sentence}"


class Monitors:
    """Watches a pump's firmware from now on; `violations` grows.

    Another one's watch of the same motor ends: that firmware is no longer in the pump. An event that changes nothing
    that a moment holds costs about a microsecond.
    """

    def __init__(self, firmware: PumpFirmware) -> None:
        self.violations: list[Violation] = []
        self._inside = inside = firmware.inside
        self._firmware = firmware
        self._world = inside.world
        self._issued: dict[int, Issued] = {}
        self._committed: list[int] = []
        self._kinds: list[type[Message]] = []
        self._next_index = inside.nvram.events.next_index
        self._seen_index = self._next_index - 1
        self._has_slipped = False
        self._told_ns: int | None = None
        self._was = moment(inside, (), (), (), is_blurred=False)
        checks: list[Any] = [check(inside, self._was) for check in CHECKS]
        self._on_change = _hooks(checks, "on_change")
        self._on_end = _hooks(checks, "on_end")
        self._timed = [check for check in checks if hasattr(check, "overdue")]
        self._on_exchange: dict[type[Message], list[Callable[[Exchange], Iterable[Finding]]]] = {}
        for check in checks:
            for request in getattr(check, "requests", ()):
                self._on_exchange.setdefault(request, []).append(check.on_exchange)
        self._due_ns = self._earliest()
        self._retire_others()
        self._world.observers.append(self.look)
        firmware.on_request, firmware.on_answer, firmware.on_turn = self._asked, self._answered, self.look
        self._firmware_slipped, inside.motor.on_slip = inside.motor.on_slip, self._slipped
        self._firmware_told, inside.motor.on_change = inside.motor.on_change, self._told

    def broken(self) -> frozenset[str]:
        """The identifiers of the properties that were broken so far."""
        return frozenset(violation.identifier for violation in self.violations)

    def look(self) -> None:
        """See how the pump stands now, and judge what has changed."""
        inside, was = self._inside, self._was
        nvram, motor = inside.nvram, inside.motor
        now_ns = self._world.now_ns
        if self._due_ns is not None and now_ns > self._due_ns:
            self._judge_overdue(now_ns)
        if (
            nvram.memory is was.memory
            and motor.period_ps == was.period_ps
            and (motor.began_ns or 0) == was.began_ns
            and motor.unseen_since_ns == was.stalled_since_ns
            and nvram.events.next_index == self._next_index
            and inside.power.is_on is was.is_on
            and inside.watchdog.starves is was.hangs
            and nvram.is_lost is was.is_lost
            and not self._committed
            and not self._has_slipped
        ):
            self._kinds.clear()
            self._told_ns = None
            return
        self._change(now_ns)

    def finish(self) -> list[Violation]:
        """Judge what is due by now, where the pump is still watched; all violations."""
        if self.look not in self._world.observers:
            return self.violations
        self.look()
        now_ns = self._world.now_ns
        self._change(now_ns)
        for hook in self._on_end:
            self._note(now_ns, hook(self._was, now_ns))
        return self.violations

    def end(self) -> None:
        """Watch no longer."""
        if self.look in self._world.observers:
            self._world.observers.remove(self.look)
        self._firmware.on_turn = lambda: None
        self._firmware.on_request = lambda request: None
        self._firmware.on_answer = lambda request, answer: None

    def _retire_others(self) -> None:
        for look in tuple(self._world.observers):
            other = getattr(look, "__self__", None)
            if isinstance(other, Monitors) and other._inside.motor is self._inside.motor:
                other.end()

    def _change(self, now_ns: int) -> None:
        was = self._was
        self._was = now = moment(
            self._inside,
            self._newly_logged(),
            tuple(self._committed),
            tuple(self._kinds),
            is_blurred=self._has_slipped or (self._told_ns is not None and self._told_ns < now_ns),
        )
        self._has_slipped, self._told_ns = False, None
        self._committed.clear()
        self._kinds.clear()
        for hook in self._on_change:
            self._note(now_ns, hook(was, now))
        self._due_ns = self._earliest()

    def _newly_logged(self) -> tuple[EventRecord, ...]:
        events = self._inside.nvram.events
        self._next_index = events.next_index
        new = events.next_index - 1 - self._seen_index
        if new <= 0:
            return ()
        records = tuple(it for it in reversed(events.newest_few(new)) if it.index > self._seen_index)
        if records:
            self._seen_index = records[-1].index
        return records

    def _told(self) -> None:
        if self._told_ns is None:
            self._told_ns = self._world.now_ns
        self._firmware_told()

    def _slipped(self) -> None:
        self._has_slipped = True
        self._firmware_slipped()

    def _judge_overdue(self, now_ns: int) -> None:
        for check in self._timed:
            if check.due_ns is not None and now_ns > check.due_ns:
                self._note(now_ns, check.overdue(self._was, now_ns))
        self._due_ns = self._earliest()

    def _earliest(self) -> int | None:
        return min((check.due_ns for check in self._timed if check.due_ns is not None), default=None)

    def _asked(self, request: Message) -> None:
        self.look()
        if type(request) in self._on_exchange:
            self._change(self._world.now_ns)
        self._kinds.append(type(request))
        if isinstance(request, Commit):
            self._committed.append(request.command_id)

    def _answered(self, request: Message, answer: Message) -> None:
        kind = type(request)
        issued = None
        if isinstance(answer, Proposal):
            self._issued[answer.token] = Issued(
                self._world.now_ns, answer, decode_payload(request.TYPE, answer.canonical)
            )
            if len(self._issued) > _PROPOSALS_KEPT:
                del self._issued[next(iter(self._issued))]
        elif isinstance(request, Commit):
            issued = self._issued.get(request.token)
        hooks = self._on_exchange.get(kind)
        before = self._was
        if not hooks:
            self.look()
        else:
            self._change(self._world.now_ns)
            exchange = Exchange(request, answer, before, self._was, issued)
            for hook in hooks:
                self._note(self._world.now_ns, hook(exchange))

    def _note(self, now_ns: int, findings: Iterable[Finding] | None) -> None:
        for identifier, sentence in findings or ():
            if sum(known.identifier == identifier for known in self.violations) < _MOST_PER_PROPERTY:
                self.violations.append(Violation(identifier, now_ns, sentence))


def _hooks(checks: Iterable[Any], name: str) -> list[Callable[..., Iterable[Finding]]]:
    return [getattr(check, name) for check in checks if hasattr(check, name)]
