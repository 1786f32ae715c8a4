"""The two steps of every dosing command, its result, and STOP."""

from __future__ import annotations

import hashlib
from typing import TypeAlias, get_args

from construct import Bytes, Enum, Float64l, GreedyBytes, Int8ul, Int32ul, Int64ul, Struct

from protocol.enums import CommandState
from protocol.messages.settings import ProposeCalibration, ProposeRefill, ProposeTherapyClock
from protocol.messages.sizes import HASH_BYTES
from protocol.messages.therapy import (
    ProposeBolus,
    ProposeBridge,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeTrial,
)
from protocol.registry import Message, encode_payload, reply, request

Proposable: TypeAlias = (
    ProposeContinuous
    | ProposeMinimumRate
    | ProposeFlex
    | ProposeBolus
    | ProposePatientBolus
    | ProposePrime
    | ProposeBridge
    | ProposeTrial
    | ProposePatientBolusLimits
    | ProposeCalibration
    | ProposeRefill
    | ProposeTherapyClock
)
PROPOSALS: tuple[type[Message], ...] = get_args(Proposable)


@reply(
    0x90,
    Struct(
        "command_id" / Int64ul,
        "token" / Int64ul,
        "digest" / Bytes(HASH_BYTES),
        "expires_in_ms" / Int32ul,
        "canonical" / GreedyBytes,
    ),
    to=PROPOSALS,
)
class Proposal(Message, frozen=True):
    """What the device would do on COMMIT: `canonical` is the PROPOSE payload with the values it will really use.

    `token` is valid once and for `expires_in_ms`; `digest` is `proposal_digest` of type and canonical payload.
    """

    command_id: int
    token: int
    digest: bytes
    expires_in_ms: int
    canonical: bytes


@request(0x13, Struct("command_id" / Int64ul, "token" / Int64ul, "digest" / Bytes(HASH_BYTES)))
class Commit(Message, frozen=True):
    """Has a proposal carried out."""

    command_id: int
    token: int
    digest: bytes


@request(0x14, Struct("command_id" / Int64ul))
class CommandResultRequest(Message, frozen=True):
    """Asks what became of a dosing command."""

    command_id: int


@reply(
    0x93,
    Struct(
        "command_id" / Int64ul,
        "state" / Enum(Int8ul, CommandState),
        "delivered_low_ul" / Float64l,
        "delivered_high_ul" / Float64l,
        "token" / Int64ul,
    ),
    to=[Commit, CommandResultRequest],
)
class CommandResult(Message, frozen=True):
    """What became of a dosing command; what it delivered lies between the two volumes.

    `token` is that of the proposal the id was used up for, 0 where there is none: a host that committed under another
    one sees that its own was never carried out.
    """

    command_id: int
    state: CommandState | int
    delivered_low_ul: float
    delivered_high_ul: float
    token: int


@request(0x15, Struct())
class Stop(Message, frozen=True):
    """Stops the motor and kills all tokens; needs no proposal."""


@reply(
    0x95,
    Struct("device_time_us" / Int64ul, "steps" / Int64ul, "delivered_ul" / Float64l),
    to=[Stop],
)
class Stopped(Message, frozen=True):
    """The motor stands still, with the counts at which it stopped."""

    device_time_us: int
    steps: int
    delivered_ul: float


# STOP is not among them: it is usable whenever it is laid out alike, whatever else differs.
_THERAPY: tuple[type[Message], ...] = (*PROPOSALS, Proposal, Commit, CommandResultRequest, CommandResult)
THERAPY_TYPES = frozenset(message.TYPE for message in _THERAPY)


def proposal_digest(proposed: Proposable) -> bytes:
    """First 8 bytes of SHA-256 over type byte and payload of a PROPOSE message with its canonical values."""
    return hashlib.sha256(bytes([proposed.TYPE]) + encode_payload(proposed)).digest()[:HASH_BYTES]
