"""The pump's link: protocol sessions over a transport; the only place that waits for the pump's bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

from driver.clock import Clock, Deadline
from driver.errors import LinkError, LinkTimeout, NakError, NotAuthenticated, VersionMismatch
from driver.telemetry import NotificationQueue, TelemetryBatch
from driver.transport import Guarded, Transport
from protocol import (
    READ_ONLY_TYPES,
    Commit,
    CounterExhausted,
    HostSession,
    Message,
    Notification,
    Refused,
    Reply,
    Stop,
    TimedOut,
)

TIMEOUT_S = 0.5
ATTEMPTS = 3

ReplyT = TypeVar("ReplyT", bound=Message)


class Link:
    """Requests with their replies, and notifications queued in between. `clock` is the I/O clock: time-outs only.

    Sealed, it opens another session by itself where the pump does not know this one any more, after a reset or because
    another holder of the key has opened one: `sessions` counts them, `boot_id` is what the newest was opened with. What
    was under way is then asked again, but for a COMMIT, whose fate is asked for by id.
    """

    def __init__(
        self, transport: Transport, clock: Clock, *, timeout_s: float = TIMEOUT_S, attempts: int = ATTEMPTS
    ) -> None:
        self._transport = Guarded(transport)
        self._clock = clock
        self._notifications = NotificationQueue()
        self._firmware = ""
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._why_read_only = ""
        self._reopen: Callable[[], None] | None = None
        self._is_reopening = False
        self._is_in_doubt = False
        self.session = HostSession(timeout_s=timeout_s, attempts=attempts)
        self.sessions = 0
        self.boot_id = 0

    @property
    def port(self) -> str:
        """The port's name."""
        return self._transport.name

    @property
    def is_sealed(self) -> bool:
        """Whether what is sent is authenticated, and only what the pump has sealed is taken."""
        return self.session.is_secured

    def restrict(self, usable: frozenset[int], firmware: str) -> None:
        """Use only messages of these type bytes from now on; `firmware` names the device's for people."""
        self.session.usable = usable
        self._firmware = firmware

    def only_read(self, why: str) -> None:
        """Send only what a pump with a key answers to everybody; `why` is the sentence for the rest."""
        self._why_read_only = why

    def seal(self, reopen: Callable[[], None], boot_id: int) -> None:
        """The session has become a sealed one; `reopen` makes one out of a new session that is still in the open.

        What came unasked before proves nothing and is thrown away.
        """
        self._reopen = reopen
        self.boot_id = boot_id
        self.sessions += 1
        if not self._is_reopening:
            self.drain()

    def unseal(self) -> None:
        """Go back to the open, to say HELLO."""
        self.session.abandon()
        self.session.secure(None)

    def start_over(self) -> None:
        """Go back to the open, and to not knowing what the device understands."""
        self.unseal()
        self.session.usable = None

    def deadline(self, timeout_s: float) -> Deadline:
        """An instant from now on, in the time of the line."""
        return Deadline(self._clock, timeout_s)

    def stay_open(self) -> None:
        """Go back to the open for good."""
        self.unseal()
        self._reopen = None

    def require(self, message: type[Message]) -> None:
        """
        Raises:
            VersionMismatch: the device lays a request, or a reply to it, out otherwise.
            NotAuthenticated: the pump takes it only from who has its key.
        """
        if self._why_read_only and message.TYPE not in READ_ONLY_TYPES:
            raise NotAuthenticated(self.port, self._why_read_only)
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
            NotAuthenticated: the pump takes it only from who has its key; it was not sent.
            NakError: the pump refused it and did nothing.
            AuthenticationError: the pump lost the session, and another could not be opened.
            LinkTimeout: no answer; the pump may or may not have acted on it.
            PortLost: the port is gone; the pump may or may not have acted on it.
        """
        self.require(type(message))
        deadline = Deadline(self._clock, timeout_s)
        if self._is_in_doubt and self._can_reopen:
            self._reopen_ahead_of(message)
        outcome = self._exchange(message, deadline)
        if outcome is None:
            outcome = self._exchange_anew(message, deadline)
        self._is_in_doubt = isinstance(outcome, TimedOut)
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

    @property
    def _can_reopen(self) -> bool:
        return self._reopen is not None and not self._is_reopening

    def _exchange(self, message: Message, deadline: Deadline) -> Reply | Refused | TimedOut | None:
        """What came of a request; None where the session is over: nobody knows it at the pump, or it is used up."""
        self.session.abandon()
        self.session.is_denied = False
        try:
            self.session.request(message, self._clock.monotonic())
        except CounterExhausted:
            return None
        outcome = None
        while outcome is None and not self.session.is_denied:
            self._send()
            outcome = self._wait(deadline)
        return outcome

    def _exchange_anew(self, message: Message, deadline: Deadline) -> Reply | Refused | TimedOut:
        """The same request in another session; but a COMMIT is sent in one alone: the pump may have acted on it.

        Raises:
            LinkTimeout: it was a COMMIT, or the new session is over too.
        """
        self._is_in_doubt = True
        if self._can_reopen and not isinstance(message, Commit):
            self._open_another()
            outcome = self._exchange(message, deadline)
            if outcome is not None:
                return outcome
        raise LinkTimeout(
            self.port,
            f"the pump knows no more of the session in which {type(message).__name__} was sent; it may have restarted",
        )

    def _reopen_ahead_of(self, message: Message) -> None:
        """Another session after one that went silent; but STOP is sent in the old one first, and nothing waited for.

        Where no other can be had, STOP has all its attempts in the old one.
        """
        if isinstance(message, Stop):
            self._send_without_waiting(message)
        try:
            self._open_another()
        except LinkError:
            if not isinstance(message, Stop):
                raise

    def _send_without_waiting(self, message: Message) -> None:
        """Once, in the session in force; what is answered is not looked at."""
        self.session.abandon()
        with contextlib.suppress(CounterExhausted):
            self.session.request(message, self._clock.monotonic())
            self._send()
        self.session.abandon()

    def _open_another(self) -> None:
        """A new session, authenticated; where that fails the one before stays."""
        assert self._reopen is not None
        before = self.session
        self.session = HostSession(timeout_s=self._timeout_s, attempts=self._attempts)
        self.session.usable = before.usable
        self._is_reopening = True
        try:
            self._reopen()
        except BaseException:
            self.session = before
            self._is_in_doubt = True
            raise
        finally:
            self._is_reopening = False
        self._is_in_doubt = False

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
            if not isinstance(event, Notification):
                outcome = event
            elif not self._is_reopening:
                self._notifications.put(event.message)
        return outcome
