"""What a check is, what can come of it, and how a check says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from protocol import READ_ONLY_TYPES, Capability, Message

if TYPE_CHECKING:
    from bench.conformance.device import Device


NOTHING = Capability(0)


class Verdict(Enum):
    """What came of a check."""

    PASS = "PASS"
    FAIL = "FAIL"
    SKIPPED = "SKIPPED"


class Violation(Exception):
    """The device does not do what the sentence says; the text is what it did instead."""


class NotApplicable(Exception):
    """The sentence says nothing about this device as it is; the text is why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One sentence of the reference and the procedure that holds a device against it, in a session of its own.

    `uses` are the requests it sends beyond HELLO and STOP, `needs` what the device must have announced. With `orders`
    it relies on answers to STOP, or to what is no message, in the open.
    """

    name: str
    sentence: str
    procedure: Callable[[Device], None]
    uses: tuple[type[Message], ...] = ()
    needs: Capability = NOTHING
    moves_fluid: bool = False
    orders: bool = False

    @property
    def needs_no_key(self) -> bool:
        """Whether a device with a key can be held to the sentence by a host without it."""
        if self.needs & Capability.AUTHENTICATION:
            return True
        return not self.orders and all(message.TYPE in READ_ONLY_TYPES for message in self.uses)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Bytes that crossed the port in one piece: to the device if `sent`, else from it."""

    sent: bool
    octets: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check: why it was skipped or failed, and for a failure all that was sent and received."""

    check: Check
    verdict: Verdict
    reason: str = ""
    exchanged: tuple[Exchanged, ...] = ()


def check(
    name: str,
    sentence: str,
    *,
    uses: tuple[type[Message], ...] = (),
    needs: Capability = NOTHING,
    moves_fluid: bool = False,
    orders: bool = False,
) -> Callable[[Callable[[Device], None]], Check]:
    """Decorator: the function is the procedure of a check."""
    return lambda procedure: Check(name, sentence, procedure, uses, needs, moves_fluid, orders)
