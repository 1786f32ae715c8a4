"""Faults drawn at random: at which frame, how long after it, how badly."""

from __future__ import annotations

import random

from firmware_mock.faults.kinds import NO_TYPE, Direction, Fault, FaultKind
from protocol import (
    CommandResult,
    Commit,
    Event,
    Hello,
    HelloRequest,
    Proposal,
    ProposeBolus,
    Status,
    StatusRequest,
)

LONGEST_LATE_S = 40.0
_ASKED = (StatusRequest.TYPE, Commit.TYPE, NO_TYPE)
_ANSWERED = (Status.TYPE, Proposal.TYPE, CommandResult.TYPE, Event.TYPE, NO_TYPE)
_FIRST_WORDS = {Direction.TO_DEVICE: HelloRequest.TYPE, Direction.TO_HOST: Hello.TYPE}
_COMMITS = {Direction.TO_DEVICE: Commit.TYPE, Direction.TO_HOST: CommandResult.TYPE}
_REPEATED = frozenset({NO_TYPE, CommandResult.TYPE})

_ONLY = {
    FaultKind.DROP_REQUEST: Direction.TO_DEVICE,
    FaultKind.BLOCKED_WRITE: Direction.TO_DEVICE,
    FaultKind.ECHO: Direction.TO_DEVICE,
    FaultKind.DROP_REPLY: Direction.TO_HOST,
    FaultKind.BOOT_GARBAGE: Direction.TO_HOST,
    FaultKind.SLOW_READER: Direction.TO_HOST,
}
_ON_THE_FRAME = frozenset(
    {
        FaultKind.FLIP,
        FaultKind.DROP_REQUEST,
        FaultKind.DROP_REPLY,
        FaultKind.DUPLICATE,
        FaultKind.LATE,
        FaultKind.REORDER,
        FaultKind.TRUNCATE,
        FaultKind.FRAGMENT,
        FaultKind.NOISE,
        FaultKind.BLOCKED_WRITE,
    }
)
_AMOUNTS = {
    FaultKind.FLIP: (1, 8),
    FaultKind.DROP_REQUEST: (1, 6),
    FaultKind.DROP_REPLY: (1, 6),
    FaultKind.LATE: (1, 4),
    FaultKind.TRUNCATE: (0, 95),
    FaultKind.NOISE: (1, 60),
    FaultKind.BOOT_GARBAGE: (1, 300),
    FaultKind.BLOCKED_WRITE: (0, 1),
    FaultKind.BIT_ROT: (1, 300),
    FaultKind.SECOND_HOST: (0, 4),
    FaultKind.HOST_SUSPEND: (0, 1),
    FaultKind.SLOW_READER: (1, 8),
    FaultKind.POWER_CUT: (0, 5),
    FaultKind.BROWN_OUT: (2, 5),
    FaultKind.CLOCK_DRIFT: (-500, 500),
    FaultKind.WATCHDOG: (0, 4),
}
_AMOUNTS_TO_CHOOSE_FROM = {FaultKind.NVRAM_ROT: (0, 1, 1, 1, 2, 2, 2, 3, 3, 4)}
_DURATIONS_S = {
    FaultKind.DUPLICATE: (0.0, LONGEST_LATE_S),
    FaultKind.LATE: (0.001, LONGEST_LATE_S),
    FaultKind.FRAGMENT: (0.001, 1.0),
    FaultKind.ECHO: (0.3, 20.0),
    FaultKind.WRONG_BAUD: (0.3, 40.0),
    FaultKind.STUCK_LINE: (0.3, 40.0),
    FaultKind.BLOCKED_WRITE: (0.01, 40.0),
    FaultKind.RESET_ON_OPEN: (0.001, 3.0),
    FaultKind.REBOOT: (0.001, 3.0),
    FaultKind.RE_ENUMERATE: (0.001, 10.0),
    FaultKind.SECOND_HOST: (1.0, 20.0),
    FaultKind.HOST_SUSPEND: (0.1, 7200.0),
    FaultKind.SLOW_READER: (0.3, 20.0),
    FaultKind.CLOCK_JUMP: (0.1, 7200.0),
    FaultKind.BIT_ROT: (0.3, 20.0),
    FaultKind.POWER_CUT: (0.001, 20.0),
    FaultKind.BROWN_OUT: (0.01, 5.0),
    FaultKind.NVRAM_ROT: (0.001, 20.0),
    FaultKind.WATCHDOG: (0.001, 3.0),
}


def draw_fault(
    kind: FaultKind,
    stream: random.Random,
    *,
    longest_delay_s: float,
    opens: bool,
    propose_type: int = ProposeBolus.TYPE,
) -> Fault:
    """A fault of a kind for a dose; half of those that need not act on a frame come some time after it.

    Two in five are set off by the COMMIT or its answer, where most is at stake. `opens`: the host says HELLO first.
    `propose_type` is what the dose is proposed by.
    """
    direction = _ONLY.get(kind) or stream.choice((Direction.TO_DEVICE, Direction.TO_HOST))
    types = (*_ASKED, propose_type) if direction is Direction.TO_DEVICE else _ANSWERED
    if opens:
        types = (*types, _FIRST_WORDS[direction])
    message_type = _COMMITS[direction] if stream.random() < 0.4 else stream.choice(types)
    delayed = kind not in _ON_THE_FRAME and stream.random() < 0.5
    delay_s = longest_delay_s * stream.random() * stream.choice((0.01, 1.0)) if delayed else 0.0
    lowest_s, highest_s = _DURATIONS_S.get(kind, (0.0, 0.0))
    duration_s = lowest_s * (highest_s / lowest_s) ** stream.random() if lowest_s else highest_s * stream.random()
    if kind in _AMOUNTS_TO_CHOOSE_FROM:
        amount = stream.choice(_AMOUNTS_TO_CHOOSE_FROM[kind])
    else:
        amount = stream.randint(*_AMOUNTS.get(kind, (0, 0)))
    if kind is FaultKind.CLOCK_DRIFT and amount == 0:
        amount = 1
    nth = stream.choice((1, 1, 2, 3)) if message_type in _REPEATED else 1
    seed = stream.getrandbits(32)
    return Fault(kind, direction, message_type, nth, round(delay_s, 9), round(duration_s, 9), amount, seed)
