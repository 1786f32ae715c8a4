"""The two answers that say no more than yes or no; a NAK answers every request."""

from __future__ import annotations

from construct import Enum, Int8ul, Struct

from protocol.enums import NakReason
from protocol.messages.alarms import AcknowledgeAlarms
from protocol.messages.lease import LeaseRelease
from protocol.messages.security import HandshakeConfirm
from protocol.messages.sizes import text
from protocol.registry import Message, reply

NAK_DETAIL_BYTES = 48


@reply(0xA0, Struct(), to=[AcknowledgeAlarms, LeaseRelease, HandshakeConfirm])
class Ack(Message, frozen=True):
    """Done, and nothing more to say."""


@reply(
    0xA1,
    Struct("reason" / Enum(Int8ul, NakReason), "detail" / text(NAK_DETAIL_BYTES)),
    to=None,
)
class Nak(Message, frozen=True):
    """The request was refused and nothing was done; `detail` is for people."""

    reason: NakReason | int
    detail: str
