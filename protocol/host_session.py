"""The host's half of a session, without I/O: requests and received bytes in, events and bytes to send out.

`now` is monotonic seconds of any clock, always the same one. The rules and their reasons are in docs/protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.enums import NakReason
from protocol.errors import CounterExhausted, SessionError
from protocol.framing import Frame, StreamDecoder, encode
from protocol.messages import HandshakeRequest, HelloRequest, Nak
from protocol.registry import FIRST_NOTIFICATION_TYPE, FIRST_REPLY_TYPE, Message, answers, encode_payload
from protocol.security import Direction, Sealer, SessionKeys, Verdict, Verifier

LAST_SEQ = 0xFFFF


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to request `seq`."""

    seq: int
    message: Message


@dataclass(frozen=True, slots=True)
class Refused:
    """The device refused request `seq` and did nothing."""

    seq: int
    nak: Nak


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No answer to request `seq`, the `message`, after all attempts: the device may or may not have acted on it."""

    seq: int
    message: Message


@dataclass(frozen=True, slots=True)
class Notification:
    """Telemetry or an event, sent unasked."""

    message: Message


HostEvent = Reply | Refused | TimedOut | Notification


@dataclass(slots=True)
class _Outstanding:
    seq: int
    message: Message
    frame: bytes
    attempts_left: int
    deadline_s: float


class HostSession:
    """One request at a time, sent again with the same seq until it is answered or the attempts are used up.

    Each attempt waits `timeout_s` seconds. What arrives and is not used is counted: `stale_replies` answer no
    outstanding request (late or duplicate), `mismatched_replies` have its seq and the wrong type, `echoes` are
    requests, which only a host sends; damaged or foreign frames are in `decoder.rejects`.

    `usable` are the type bytes that a device of another schema lays out as we do (`usable_types`); None stands for all.
    Requests of other types are refused, frames of other types are dropped and counted in `unusable_frames`.

    Behind `secure` every attempt is sealed, with a counter of its own, and of what arrives only what the device sealed
    is taken: `forged_frames` were not made with the key, plain ones included, `replayed_frames` had an old counter.
    `is_denied` is a hint that nothing proves: somebody answered that the device knows nothing of this session, as it
    does after a reset. Then open anew; what became of the outstanding request is uncertain.
    """

    def __init__(self, *, timeout_s: float = 0.5, attempts: int = 3) -> None:
        if not timeout_s > 0 or attempts < 1:
            raise ValueError(f"timeout_s must be above 0 and attempts at least 1, not {timeout_s} and {attempts}")
        self.decoder = StreamDecoder()
        self.stale_replies = 0
        self.mismatched_replies = 0
        self.echoes = 0
        self.unusable_frames = 0
        self.forged_frames = 0
        self.replayed_frames = 0
        self.is_denied = False
        self.usable: frozenset[int] | None = None
        self.retries = 0
        self.last_heard_s: float | None = None
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._next_seq = 1
        self._outstanding: _Outstanding | None = None
        self._sealer: Sealer | None = None
        self._verifier: Verifier | None = None
        self._to_send = bytearray()

    @property
    def is_secured(self) -> bool:
        """Whether requests are sealed, and only sealed answers are taken."""
        return self._sealer is not None

    def secure(self, keys: SessionKeys | None) -> None:
        """Seal from now on with the keys of a handshake; the next request is HandshakeConfirm. None leaves the session.

        Raises:
            SessionError: a request is outstanding.
        """
        if self._outstanding is not None:
            name = type(self._outstanding.message).__name__
            raise SessionError(f"{name} is outstanding; keys change between requests")
        self.is_denied = False
        self._sealer = None if keys is None else Sealer(keys, Direction.TO_DEVICE)
        self._verifier = None if keys is None else Verifier(keys, Direction.TO_HOST)

    def request(self, message: Message, now: float) -> int:
        """Queue a request for sending and start its time-out; gives its seq, 1 to 65535.

        Raises:
            SessionError: another request is outstanding, the message is not a request, it is not usable, or it opens
                another session while this one is sealed.
            CounterExhausted: the sealed session is used up.
            EncodeError: a field holds a value that the wire cannot carry.
        """
        if message.TYPE >= FIRST_REPLY_TYPE:
            raise SessionError(f"{type(message).__name__} is not a request; only a device sends it")
        if not self.can_use(type(message)):
            raise SessionError(
                f"{type(message).__name__} is not usable: its layout or a reply's differs on this device"
            )
        if self._outstanding is not None:
            waiting = self._outstanding
            raise SessionError(
                f"{type(message).__name__} must wait: "
                f"{type(waiting.message).__name__} (seq {waiting.seq}) is outstanding"
            )
        if self._sealer is not None:
            self._check_sealable(message, self._sealer)
        seq = self._next_seq
        if isinstance(message, HelloRequest):
            seq = 1 + message.host_nonce % LAST_SEQ
        frame = self._frame(message, seq)
        self._next_seq = seq % LAST_SEQ + 1
        self._outstanding = _Outstanding(seq, message, frame, self._attempts - 1, now + self._timeout_s)
        self._to_send += frame
        return seq

    def can_use(self, message: type[Message]) -> bool:
        """Whether the device lays a message out as we do."""
        return self.usable is None or message.TYPE in self.usable

    def receive(self, data: bytes, now: float) -> list[HostEvent]:
        """What the bytes mean; never raises, whatever they are."""
        frames = self.decoder.feed(data)
        if self._verifier is not None:
            frames = [frame for frame in frames if self._is_proven(frame, self._verifier)]
        if frames:
            self.last_heard_s = now
        return [event for frame in frames if (event := self._event(frame)) is not None]

    def poll(self, now: float) -> list[HostEvent]:
        """Queue a retry if one is due, or give up: at most one `TimedOut`."""
        waiting = self._outstanding
        if waiting is None or now < waiting.deadline_s:
            return []
        if waiting.attempts_left == 0:
            self._outstanding = None
            return [TimedOut(waiting.seq, waiting.message)]
        waiting.attempts_left -= 1
        waiting.deadline_s = now + self._timeout_s
        self.retries += 1
        self._to_send += waiting.frame if self._sealer is None else self._frame(waiting.message, waiting.seq)
        return []

    def abandon(self) -> None:
        """Give up the outstanding request, if any, so that STOP can go out at once; what is unsent of it is dropped."""
        self._outstanding = None
        self._to_send.clear()

    def next_deadline(self) -> float | None:
        """When `poll` has something to do, on the clock of `now`; None while nothing is outstanding."""
        return None if self._outstanding is None else self._outstanding.deadline_s

    def data_to_send(self) -> bytes:
        """The bytes to write now; each is given once."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def _check_sealable(self, message: Message, sealer: Sealer) -> None:
        if isinstance(message, HelloRequest | HandshakeRequest):
            raise SessionError(f"{type(message).__name__} opens another session; leave this one first: secure(None)")
        if sealer.left < self._attempts:
            raise CounterExhausted("this session has used up its counters; open it anew")

    def _frame(self, message: Message, seq: int) -> bytes:
        if self._sealer is None:
            return encode(message, seq=seq)
        return self._sealer.frame(message.TYPE, seq, encode_payload(message))

    def _is_proven(self, frame: Frame, verifier: Verifier) -> bool:
        if frame.type < FIRST_REPLY_TYPE:
            self.echoes += 1
            return False
        verdict = verifier.verdict(frame)
        if verdict is Verdict.GENUINE:
            return True
        if verdict is Verdict.REPLAYED:
            self.replayed_frames += 1
            return False
        self.forged_frames += 1
        waiting, message = self._outstanding, frame.message
        if frame.trailer is None and waiting is not None and frame.seq == waiting.seq and isinstance(message, Nak):
            self.is_denied |= message.reason == NakReason.UNAUTHENTICATED
        return False

    def _event(self, frame: Frame) -> HostEvent | None:
        if frame.type < FIRST_REPLY_TYPE:
            self.echoes += 1
            return None
        if self.usable is not None and frame.type not in self.usable:
            self.unusable_frames += 1
            return None
        if frame.type >= FIRST_NOTIFICATION_TYPE:
            return Notification(frame.message)
        waiting = self._outstanding
        if waiting is None or frame.seq != waiting.seq:
            self.stale_replies += 1
            return None
        if not answers(frame.type, waiting.message.TYPE):
            self.mismatched_replies += 1
            return None
        self._outstanding = None
        message = frame.message
        return Refused(frame.seq, message) if isinstance(message, Nak) else Reply(frame.seq, message)
