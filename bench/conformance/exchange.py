"""Frames over a port, one by one and with deadlines: unlike a host's session it sends wrong ones, and hears everything.

What crosses is kept as evidence until the next check.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from bench.conformance.check import Exchanged, Violation
from driver.clock import Clock, Deadline
from driver.transport import Transport
from protocol import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    DecodeError,
    Frame,
    Hello,
    HelloRequest,
    Message,
    Nak,
    NakReason,
    Reject,
    StreamDecoder,
    encode,
)
from protocol.registry import FIRST_NOTIFICATION_TYPE

PATIENCE_S = 1.5
SILENCE_S = 0.2
CHUNK_BYTES = 512
LAST_SEQ = 0xFFFF

ReplyT = TypeVar("ReplyT", bound=Message)


class Exchange:
    """Requests get seqs that no other request of the run had, so that a fault of one session stays in that session.

    A reply is waited for as long as three attempts of a host take; replies to anything else are `strays`.
    """

    def __init__(self, transport: Transport, clock: Clock, seed: int) -> None:
        self.clock = clock
        self.random = random.Random(f"{seed}/conformance")
        self.strays: list[Frame] = []
        self.notifications: list[Message] = []
        self._transport = transport
        self._decoder = StreamDecoder()
        self._received = bytearray()
        self._evidence: list[Exchanged] = []
        self._arrived: list[Frame] = []
        self._unreadable: list[Reject] = []
        self._next_seq = self.random.randint(1, LAST_SEQ)

    @property
    def port(self) -> str:
        """The port's name."""
        return self._transport.name

    @property
    def evidence(self) -> tuple[Exchanged, ...]:
        """All that was sent and received since `begin`."""
        return tuple(self._evidence)

    def begin(self) -> None:
        """Let what is under way arrive, then forget it and the evidence."""
        while self._read(SILENCE_S / 4):
            pass
        self._evidence.clear()
        self.forget()

    def forget(self) -> None:
        """Forget the frames that have arrived."""
        self._arrived.clear()
        self._unreadable.clear()
        self.strays.clear()
        self.notifications.clear()

    def new_seq(self) -> int:
        """The next seq that was not used yet."""
        seq = self._next_seq
        self._next_seq = seq % LAST_SEQ + 1
        return seq

    def hello_request(self, major: int = PROTOCOL_MAJOR) -> tuple[HelloRequest, int]:
        """A HELLO of a new session and its seq."""
        seq = self.new_seq()
        nonce = self.random.getrandbits(47) * LAST_SEQ + seq - 1
        return HelloRequest(major, PROTOCOL_MINOR, nonce), seq

    def hello(self, *, patience_s: float = PATIENCE_S) -> Hello:
        """Open a new session, at the first try.

        Raises:
            Violation: HELLO is not answered, or with something else.
        """
        request, seq = self.hello_request()
        self.send(encode(request, seq=seq))
        return self.expect(seq, request, Hello, patience_s=patience_s)

    def ask(self, request: Message, answer: type[ReplyT]) -> ReplyT:
        """The answer to a request.

        Raises:
            Violation: it is missing, refused, or of another type.
        """
        return self.expect(self.sent(request), request, answer)

    def expect(self, seq: int, request: Message, answer: type[ReplyT], *, patience_s: float = PATIENCE_S) -> ReplyT:
        """The answer to a request that was sent with `seq`.

        Raises:
            Violation: it is missing, refused, or of another type.
        """
        name = type(request).__name__
        reply = decoded(self.reply(seq, name, patience_s=patience_s))
        if isinstance(reply, answer):
            return reply
        raise Violation(f"{name} was answered with {described(reply)} instead of {answer.__name__}")

    def refusal(self, request: Message, *reasons: NakReason) -> Nak:
        """The NAK to a request that must be refused for one of `reasons`.

        Raises:
            Violation: it is answered otherwise or not at all.
        """
        return self.nak(self.sent(request), type(request).__name__, *reasons)

    def nak(self, seq: int, name: str, *reasons: NakReason) -> Nak:
        """The NAK to what was sent with `seq`.

        Raises:
            Violation: it is answered otherwise or not at all.
        """
        reply = decoded(self.reply(seq, name))
        wanted = " or ".join(reason.name for reason in reasons)
        if not isinstance(reply, Nak) or reply.reason not in reasons:
            raise Violation(f"{name} was answered with {described(reply)} instead of NAK {wanted}")
        return reply

    def reply(self, seq: int, name: str, *, patience_s: float = PATIENCE_S) -> Frame:
        """The first reply that carries `seq`, whatever its type.

        Raises:
            Violation: none comes, or it cannot be read.
        """
        found = self.heard(seq, patience_s=patience_s)
        if found is not None:
            return found
        others = ", ".join(f"0x{frame.type:02X} with seq {frame.seq}" for frame in self.strays) or "nothing"
        raise Violation(f"{name} with seq {seq} was not answered within {patience_s:g} s; {others} came instead")

    def heard(self, seq: int, *, patience_s: float = PATIENCE_S) -> Frame | None:
        """The first reply that carries `seq`, None where none comes.

        Raises:
            Violation: it cannot be read.
        """
        return self._wait(lambda: self._take(seq), patience_s)

    def silence(self, after: str) -> None:
        """Nothing but notifications comes for a while.

        Raises:
            Violation: a reply came.
        """
        self.hear(SILENCE_S)
        answered = [*self.strays, *self._arrived]
        self.strays.clear()
        if answered:
            replies = ", ".join(f"{described(decoded(frame))} with seq {frame.seq}" for frame in answered)
            raise Violation(f"{after} was answered with {replies}")

    def hear(self, seconds: float) -> None:
        """Let time pass and take in what comes."""
        self._wait(lambda: None, seconds)

    def wire_of(self, frame: Frame) -> bytes:
        """A frame that arrived as the bytes between its zeros."""
        return bytes(self._received[frame.offset : self._received.index(0, frame.offset)])

    def sent(self, request: Message) -> int:
        """Send a request; gives its seq."""
        seq = self.new_seq()
        self.send(encode(request, seq=seq))
        return seq

    def send(self, data: bytes, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        """Send bytes, in portions."""
        self._evidence.append(Exchanged(True, data))
        for start in range(0, len(data), chunk_bytes):
            self._transport.write(data[start : start + chunk_bytes])

    def _take(self, seq: int) -> Frame | None:
        for reject in self._unreadable:
            if reject.frame is not None and reject.frame.seq == seq:
                raise Violation(f"the reply is {reject.cause.value}: {reject.detail}")
        while self._arrived:
            frame = self._arrived.pop(0)
            if frame.seq == seq:
                return frame
            self.strays.append(frame)
        return None

    def _wait(self, until: Callable[[], Frame | None], seconds: float) -> Frame | None:
        deadline = Deadline(self.clock, seconds)
        while (found := until()) is None and not deadline.expired:
            self._read(deadline.remaining_s)
        return found

    def _read(self, timeout_s: float) -> bytes:
        data = self._transport.read(timeout_s)
        if not data:
            return data
        self._evidence.append(Exchanged(False, data))
        self._received += data
        for item in self._decoder.scan(data):
            if isinstance(item, Reject):
                self._unreadable.append(item)
            elif item.type >= FIRST_NOTIFICATION_TYPE:
                self.notifications.append(item.message)
            else:
                self._arrived.append(item)
        return data


def decoded(frame: Frame) -> Message:
    """The message in a reply.

    Raises:
        Violation: it cannot be read.
    """
    try:
        return frame.message
    except DecodeError as error:
        raise Violation(f"a reply cannot be read: {error}") from None


def described(message: Message) -> str:
    """A reply in a few words."""
    if isinstance(message, Nak):
        reason = message.reason.name if isinstance(message.reason, NakReason) else f"reason {message.reason}"
        return f"NAK {reason} “{message.detail}”" if message.detail else f"NAK {reason}"
    return type(message).__name__
