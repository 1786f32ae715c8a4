"""What a watcher sees of a pump: how it stood after an event, and what was asked and answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Protocol, TypeAlias

from firmware_mock.firmware.inside import Inside
from firmware_mock.firmware.memory import Memory, Result, Run
from protocol import Alarm, EventRecord, Message, Mode, Proposal, decode_payload

NS_PER_H = 3_600 * 1_000_000_000
PS_PER_H = 1000 * NS_PER_H

Finding: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Moment:
    """A pump after an event. `is_on`: it has power; `hangs`: its main loop does not run.

    `memory` is the image as the firmware holds it. `period_ps` is what the step timer was told, 0 at standstill.
    `rotor_steps` are those the rotor made, `counted_steps` those the firmware counts, `commanded_steps` those its timer
    asked for. `alarms` are the conditions that it tells, `logged` the events that are new in its log, `committed` the
    ids that a COMMIT came for, `asked` the kinds of requests, since the moment before;
    `is_blurred`: the rotor has ceased to follow the timer meanwhile, or follows it again, or the motor was told
    something otherwise than in an event. `follows`: the rotor makes the steps that it is driven to.
    """

    now_ns: int
    memory: Memory
    is_on: bool
    hangs: bool
    is_lost: bool
    period_ps: int
    began_ns: int
    stalled_since_ns: int | None
    rotor_steps: int
    counted_steps: int
    commanded_steps: int
    alarms: Alarm
    mode: Mode
    logged: tuple[EventRecord, ...]
    committed: tuple[int, ...]
    asked: tuple[type[Message], ...]
    is_blurred: bool
    follows: bool

    @property
    def works(self) -> bool:
        """Whether the firmware runs and knows what it does."""
        return self.is_on and not self.hangs and not self.is_lost

    @property
    def under_way(self) -> Run | None:
        """What the motor is to turn for."""
        return self.memory.under_way if self.works else None

    @property
    def runs(self) -> tuple[Run, ...]:
        """The therapy and the bolus on top of it, as far as there are any."""
        return tuple(run for run in (self.memory.therapy, self.memory.bolus) if run is not None)


@dataclass(frozen=True, slots=True)
class Issued:
    """A proposal that was answered with a token, and when."""

    at_ns: int
    proposal: Proposal
    canonical: Any


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that was carried out or refused; `issued` is the proposal whose token a COMMIT names."""

    request: Any
    answer: Any
    before: Moment
    after: Moment
    issued: Issued | None


class Check(Protocol):
    """Watches one pump for some properties; says which is broken, and how, as (identifier, sentence).

    It may also have `on_change(was, now)`, called when something that a moment holds has changed; `on_exchange`, called
    for each of its `requests`; `overdue(was, now_ns)`, called at the first event after `due_ns` with how the pump stood
    until then; and `on_end(was, now_ns)`.
    """

    requests: ClassVar[tuple[type[Message], ...]]


Findings: TypeAlias = Iterator[Finding]


def moment(
    inside: Inside,
    logged: tuple[EventRecord, ...],
    committed: tuple[int, ...],
    asked: tuple[type[Message], ...],
    *,
    is_blurred: bool,
) -> Moment:
    """The pump as it stands now."""
    nvram, motor = inside.nvram, inside.motor
    now_ns = inside.world.now_ns
    return Moment(
        now_ns,
        nvram.memory,
        inside.power.is_on,
        inside.watchdog.starves,
        nvram.is_lost,
        motor.period_ps,
        motor.began_ns or 0,
        motor.unseen_since_ns,
        motor.head.counted_steps(now_ns),
        motor.steps,
        motor.commanded_steps,
        inside.upkeep.alarms.active(),
        inside.therapy.mode,
        logged,
        committed,
        asked,
        is_blurred,
        motor.follows,
    )


def ended(was: Moment, now: Moment) -> tuple[Result, ...]:
    """How commands have ended since, and settings among them."""
    if now.memory.results is was.memory.results:
        return ()
    known = {result.command_id for result in was.memory.results}
    return tuple(result for result in now.memory.results if result.command_id not in known)


@lru_cache(maxsize=256)
def canonical_of(propose_type: int, canonical: bytes) -> Any:
    """The proposal that a run carries out."""
    return decode_payload(propose_type, canonical)


def commanded_ul_per_h(run: Run) -> float | None:
    """The rate that the host has confirmed for a run; None where the message holds no single one."""
    message = canonical_of(run.propose_type, run.canonical)
    if run.mode is Mode.BRIDGE:
        return float(message.bridge_rate_ul_per_h)
    return getattr(message, "rate_ul_per_h", None)


def driven_ul_per_h(period_ps: int, step_volume_nl: float) -> float:
    """The rate of a step period."""
    return step_volume_nl * 1e-3 * PS_PER_H / period_ps if period_ps else 0.0
