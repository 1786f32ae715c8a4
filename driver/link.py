"""The pump's link: protocol sessions over a transport; the only place that waits for the pump's bytes."""

from __future__ import annotations

from typing import TypeVar

from driver.clock import Clock, Deadline
from driver.errors import LinkTimeout, NakError, VersionMismatch
from driver.telemetry import NotificationQueue, TelemetryBatch
from driver.transport import Guarded, Transport
from protocol import HostSession, Message, Notification, Refused, Reply, TimedOut

TIMEOUT_S = 0.5
ATTEMPTS = 3

ReplyT = TypeVar("ReplyT", bound=Message)


class Link:
    """Requests with their replies, and notifications queued in between. `clock` is the I/O clock: time-outs only."""

    def __init__(
        self, transport: Transport, clock: Clock, *, timeout_s: float = TIMEOUT_S, attempts: int = ATTEMPTS
    ) -> None:
        self._transport = Guarded(transport)
        self._clock = clock
        self._notifications = NotificationQueue()
        self._firmware = ""
        self.session = HostSession(timeout_s=timeout_s, attempts=attempts)

    @property
    def port(self) -> str:
        """The port's name."""
        return self._transport.name

    def restrict(self, usable: frozenset[int], firmware: str) -> None:
        """Use only messages of these type bytes from now on; `firmware` names the device's for people."""
        self.session.usable = usable
        self._firmware = firmware

    def require(self, message: type[Message]) -> None:
        """
        Raises:
            VersionMismatch: the device lays a request, or a reply to it, out otherwise.
        """
        if not self.session.can_use(message):
            raise VersionMismatch(
                self.port,
                f"firmware {self._firmware} lays {message.__name__} or a reply to it out differently, so it is not "
                "sent; use the program that was released with this firmware",
            )

    def request(self, message: Message, answer: type[ReplyT], *, timeout_s: float | None = None) -> ReplyT:
        """Send a request and wait for its reply, the session's retries included, at most `timeout_s`.

        What an interrupt left outstanding is given up first, so that it never keeps STOP back; its reply will be stale.

        Raises:
            VersionMismatch: the pump would not understand it.
            NakError: the pump refused it and did nothing.
            LinkTimeout: no answer; the pump may or may not have acted on it.
            PortLost: the port is gone; the pump may or may not have acted on it.
        """
        self.require(type(message))
        deadline = Deadline(self._clock, timeout_s)
        self.session.abandon()
        self.session.request(message, self._clock.monotonic())
        outcome = None
        while outcome is None:
            self._send()
            outcome = self._wait(deadline)
        if isinstance(outcome, Refused):
            raise NakError(self.port, type(message).__name__, outcome.nak.reason, outcome.nak.detail)
        if isinstance(outcome, TimedOut):
            raise LinkTimeout(self.port, f"the pump did not answer {type(message).__name__}; is it on and in reach?")
        assert isinstance(outcome.message, answer)
        return outcome.message

    def service(self) -> None:
        """Take in what has arrived, without waiting; costs nothing when nothing came.

        Raises:
            PortLost: the port is gone.
        """
        if self._transport.in_waiting:
            for event in self.session.receive(self._transport.read(0.0), self._clock.monotonic()):
                if isinstance(event, Notification):
                    self._notifications.put(event.message)

    @property
    def has_notifications(self) -> bool:
        """Whether `drain` has something to give."""
        return not self._notifications.is_empty

    def drain(self) -> TelemetryBatch:
        """The notifications that came since the last call."""
        return self._notifications.drain()

    def close(self) -> None:
        self._transport.close()

    def _send(self) -> None:
        if data := self.session.data_to_send():
            self._transport.write(data)

    def _wait(self, deadline: Deadline) -> Reply | Refused | TimedOut | None:
        now = self._clock.monotonic()
        due_s = self.session.next_deadline()
        assert due_s is not None
        data = self._transport.read(max(0.0, min(due_s - now, deadline.remaining_s)))
        now = self._clock.monotonic()
        outcome: Reply | Refused | TimedOut | None = None
        for event in [*self.session.receive(data, now), *self.session.poll(float("inf") if deadline.expired else now)]:
            if isinstance(event, Notification):
                self._notifications.put(event.message)
            else:
                outcome = event
        return outcome
