"""STOP, and the sentence for people when the pump does not confirm it."""

from __future__ import annotations

from dataclasses import dataclass

from driver.errors import LinkError, LinkTimeout, StopUnconfirmed, TransportError
from driver.link import Link
from protocol import Stop, Stopped

STOP_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class StopReport:
    """A confirmed STOP: the counts at which the motor stood still, and why the journal misses it, if it does."""

    steps: int
    delivered_ul: float
    device_time_us: int
    journal_fault: str | None


def send_stop(link: Link) -> Stopped:
    """STOP, several times if need be.

    Raises:
        StopUnconfirmed: the pump did not confirm.
    """
    why = "no answer came"
    for _ in range(STOP_ROUNDS):
        try:
            return link.request(Stop(), Stopped)
        except LinkTimeout:
            continue
        except (LinkError, TransportError) as error:
            why = error.finding
            break
    raise unconfirmed(link.port, why)


def unconfirmed(port: str, why: str) -> StopUnconfirmed:
    """The error that tells why and what to do."""
    return StopUnconfirmed(
        port,
        f"STOP is not confirmed ({why}) and the pump may still be delivering: close the stopcock, restore the "
        "connection, then stop the pump again",
    )
