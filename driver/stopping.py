"""STOP, and the sentence for people when the pump does not confirm it."""

from __future__ import annotations

from dataclasses import dataclass

from driver.dosing import Dosing
from driver.errors import (
    AuthenticationError,
    JournalError,
    LinkError,
    LinkTimeout,
    NakError,
    NotAuthenticated,
    StopUnconfirmed,
    TransportError,
)
from driver.journal import Journal
from driver.link import Link
from protocol import Stop, Stopped

MOST_TIMEOUTS = 3
MOST_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class StopReport:
    """A confirmed STOP: the counts at which the motor stood still, and why the journal misses it, if it does."""

    steps: int
    delivered_ul: float
    device_time_us: int
    journal_fault: str | None


def send_stop(link: Link) -> Stopped:
    """STOP, several times if need be; a refusal too is answered by the next, with another seq.

    So is a session that was lost and could not be opened anew: somebody on the line may only have said that it was.

    Raises:
        StopUnconfirmed: the pump did not confirm.
        NotAuthenticated: the pump has a key that is not here; nothing was sent.
    """
    why = "no answer came"
    timeouts = 0
    for _ in range(MOST_ROUNDS):
        try:
            return link.request(Stop(), Stopped)
        except NotAuthenticated:
            raise
        except (LinkTimeout, AuthenticationError) as error:
            if isinstance(error, AuthenticationError):
                why = error.finding
            timeouts += 1
            if timeouts == MOST_TIMEOUTS:
                break
        except NakError as refusal:
            why = refusal.finding
        except (LinkError, TransportError) as error:
            why = error.finding
            break
    raise unconfirmed(link.port, why)


class Stopper:
    """Stops one pump, for one host; `unconfirmed` is set when that failed on leaving."""

    def __init__(self, link: Link, dosing: Dosing | None, journal: Journal | None) -> None:
        self.unconfirmed: StopUnconfirmed | None = None
        self._link = link
        self._dosing = dosing
        self._journal = journal

    def stop(self) -> StopReport:
        """STOP goes out first, then what ran is asked for its result, then the journal is written.

        Raises:
            StopUnconfirmed: the pump did not confirm.
        """
        try:
            stopped = send_stop(self._link)
        except StopUnconfirmed:
            self._note(confirmed=False)
            raise
        if running := () if self._dosing is None else self._dosing.stopped():
            self._note(confirmed=False)
            listed = ", ".join(str(id_) for id_ in running)
            raise unconfirmed(self._link.port, f"the pump answers it and says that command {listed} still runs")
        fault = self._note(confirmed=True)
        return StopReport(stopped.steps, stopped.delivered_ul, stopped.device_time_us, fault)

    def stop_on_leaving(self, error: BaseException | None) -> None:
        """Stop on the way out, `error` being the reason for it, if any.

        An unconfirmed stop outranks an exception; an interrupt keeps its kind and carries the sentence as a note.

        Raises:
            StopUnconfirmed: the pump did not confirm.
        """
        try:
            self.stop()
        except StopUnconfirmed as failure:
            self.unconfirmed = failure
            if error is None or isinstance(error, Exception):
                raise failure from error
            error.add_note(str(failure))
        except BaseException:
            self.unconfirmed = unconfirmed(self._link.port, "the wait for its answer was interrupted")
            raise

    def _note(self, *, confirmed: bool) -> str | None:
        """Write a stop down; gives why the journal misses something, if it does."""
        if self._journal is None:
            return None
        try:
            self._journal.stop(confirmed=confirmed)
        except JournalError as error:
            return str(error)
        fault = None if self._dosing is None else self._dosing.journal_fault
        return None if fault is None else str(fault)


def unconfirmed(port: str, why: str) -> StopUnconfirmed:
    """The error that tells why and what to do."""
    return StopUnconfirmed(
        port,
        f"STOP is not confirmed ({why}) and the pump may still be delivering: close the stopcock, restore the "
        "connection, then stop the pump again",
    )
