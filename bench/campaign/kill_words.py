"""What passes between the campaign of killed hosts and the processes that it kills: lines of JSON."""

from __future__ import annotations

import os
from enum import IntEnum
from typing import TypeAlias

import msgspec

from bench.campaign.claims import Claim


class Phase(IntEnum):
    """How far a host process has come, in order."""

    STARTING = 0
    OPENING = 1
    RECONCILING = 2
    WAITING = 3
    ASKING = 4
    PROPOSE = 5
    AGREED = 6
    COMMIT = 7
    MOTION = 8
    LEAVING = 9


PHASE_TEXTS = {
    Phase.STARTING: "before the port is opened",
    Phase.OPENING: "opening port and journal, HELLO",
    Phase.RECONCILING: "asking what became of earlier doses",
    Phase.WAITING: "waiting for an earlier dose to end",
    Phase.ASKING: "before PROPOSE, the id being journalled",
    Phase.PROPOSE: "PROPOSE sent, no proposal yet",
    Phase.AGREED: "proposal there, COMMIT being journalled",
    Phase.COMMIT: "COMMIT sent, no result yet",
    Phase.MOTION: "the pump says that the dose runs",
    Phase.LEAVING: "the pump has said how it ended",
}


class Order(msgspec.Struct, frozen=True):
    """What a host process is to do: settle the doses after `settled_id`, then give one of so many steps; 0 gives none.

    Time of the process runs `speed` times as fast as the wall.
    """

    port: str
    journals: str
    speed: float
    settled_id: int
    steps: int
    step_volume_ul: float


class Born(msgspec.Struct, frozen=True, tag=True):
    """A process has begun; it is not reaped before the next order, so its number stays its own."""

    pid: int


class Reached(msgspec.Struct, frozen=True, tag=True):
    """The process enters a phase."""

    phase: Phase
    at_ns: int


class Told(msgspec.Struct, frozen=True, tag=True):
    """What the driver says of a dose, which is known by its number of steps."""

    steps: int
    claim: Claim


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The process could not go on: an error that the driver announces, or one that it does not."""

    sentence: str
    announced: bool


class Gone(msgspec.Struct, frozen=True, tag=True):
    """The process has ended: by this signal, by itself where it is 0."""

    signal: int


Word: TypeAlias = Born | Reached | Told | Failed | Gone

_decoder = msgspec.json.Decoder(Word)


def write_word(descriptor: int, word: Word) -> None:
    """Write a word in one piece: a kill leaves all of it or nothing."""
    os.write(descriptor, msgspec.json.encode(word) + b"\n")


def read_word(line: bytes) -> Word:
    """A word from its line.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    word: Word = _decoder.decode(line)
    return word
