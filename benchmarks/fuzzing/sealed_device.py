"""Fuzz target: a keyed device among genuine, forged, repeated and plain frames.

The harness has the key and seals some frames itself, so it knows which are genuine: those it made, while their session
is in force and their counter is new. Nothing else with a trailer may be taken.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import count

from cobs import cobs

from fuzzing.choices import Choices
from fuzzing.decoders import retained_bytes
from fuzzing.frames import REQUEST_TYPES, TRAILER_BYTES, Sent, any_piece, any_sent, changed, fitting_payload
from fuzzing.sessions import MOST_RETAINED_BYTES
from protocol import (
    READ_ONLY_TYPES,
    TEST_KEY,
    Ack,
    DeviceGuard,
    DeviceRequest,
    DeviceSession,
    Frame,
    Handshake,
    HandshakeConfirm,
    HandshakeRequest,
    Hello,
    HelloRequest,
    Message,
    Nak,
    NakReason,
    Reject,
    RejectCause,
    SessionKeys,
    StreamDecoder,
    decode_payload,
    derive_session_keys,
    encode_payload,
)
from protocol.device_session import REPLIES_KEPT
from protocol.handshake import FAILURES_ALLOWED, LOCKED_S
from protocol.registry import FIRST_REPLY_TYPE
from protocol.security import Direction, Sealer, Verdict, Verifier

HELLO = Hello(1, 0, bytes(8), 8192, 512, 1, 0, "model", "serial", "1")

Content = tuple[int, int, bytes, bytes | None]


def sealed_device(data: bytes) -> None:
    """Only genuine frames count as sealed; what else comes changes neither the sealed cache nor a counter or key."""
    choices = Choices(data)
    model, draws = _DeviceModel(), count(1)
    device = DeviceSession(DeviceGuard(lambda size: next(draws).to_bytes(size, "little"), TEST_KEY))
    now = 0.0
    while choices.left:
        now += (0.0, 0.0, 0.5, 31.0)[choices.below(4)]
        octets = _for_device(choices, model)
        expected = model.takes(StreamDecoder().scan(octets), now)
        assert list(map(repr, device.receive(octets, now))) == list(map(repr, expected)), "other requests come up"
        for request in expected:
            device.reply(request.seq, model.answer(request))
        model.check_sent(device.data_to_send())
        assert device.is_sealed == (model.session is not None), "a session begins or ends against the rules"
        counts = (device.forged, device.replayed, device.replays, device.dropped_replies, device.echoes)
        assert counts == (model.forged, model.replayed, model.repeats, model.dropped, model.echoes), "counts differ"
        assert retained_bytes(device.decoder) <= MOST_RETAINED_BYTES, "the decoder keeps more than one frame"


@dataclass(slots=True)
class _Session:
    """An authenticated session as the harness knows it."""

    keys: SessionKeys
    sealer: Sealer
    verifier: Verifier
    newest: int = 0
    sent: int = 0


@dataclass(slots=True)
class _Exchange:
    content: tuple[int, bytes]
    session: _Session | None
    reply_type: int | None = None
    is_lost: bool = False


@dataclass
class _DeviceModel:
    """What the reference says a keyed device does: "Session" and "Authentication"."""

    draws: int = 0
    hello_request: bytes = b""
    hello: bytes | None = None
    pending: _Session | None = None
    session: _Session | None = None
    failures: int = 0
    locked_until_s: float = -1.0
    forged: int = 0
    replayed: int = 0
    repeats: int = 0
    dropped: int = 0
    echoes: int = 0
    known: dict[bool, dict[int, _Exchange]] = field(default_factory=lambda: {False: {}, True: {}})
    waiting: deque[_Exchange] = field(default_factory=deque)
    outgoing: deque[tuple[int, int, _Session | None]] = field(default_factory=deque)
    made: dict[Content, tuple[_Session, int]] = field(default_factory=dict)
    wires: deque[bytes] = field(default_factory=lambda: deque(maxlen=40))

    def sealed(self, session: _Session, type_byte: int, seq: int, payload: bytes) -> bytes:
        """A genuine frame of the host, on record."""
        wire = session.sealer.frame(type_byte, seq, payload)
        content = cobs.decode(wire[1:-1])
        trailer = content[-4 - TRAILER_BYTES : -4]
        self.made[(type_byte, seq, payload, trailer)] = (session, int.from_bytes(trailer[:4], "little"))
        self.wires.append(wire)
        return wire

    def takes(self, items: list[Frame | Reject], now: float) -> list[DeviceRequest]:
        """Go through a chunk as the reference has it; the requests that must be handed up."""
        handed: list[DeviceRequest] = []
        for item in items:
            cause = item.cause if isinstance(item, Reject) else None
            frame = item.frame if isinstance(item, Reject) else item
            if frame is None:
                continue
            if frame.type >= FIRST_REPLY_TYPE:
                self.echoes += 1
            elif frame.trailer is not None:
                handed += self._with_trailer(frame, cause, now)
            elif cause is None and (frame.type not in READ_ONLY_TYPES or frame.type == HandshakeConfirm.TYPE):
                self._sends_nak(frame.seq, None)
            else:
                handed += self._acts(frame, cause, None, now)
        return handed

    def answer(self, request: DeviceRequest) -> Message:
        """The firmware's answer to the next request, and what must become of it."""
        exchange = self.waiting.popleft()
        answer: Message = Nak(NakReason.BUSY, "busy")
        if isinstance(request.message, HandshakeConfirm):
            answer = Ack()
        elif isinstance(request.message, HelloRequest):
            answer = HELLO
        if exchange.is_lost:
            self.dropped += 1
            return answer
        exchange.reply_type = answer.TYPE
        self.outgoing.append((answer.TYPE, request.seq, exchange.session))
        if answer is HELLO and exchange.session is None:
            self.hello = self.hello_request + encode_payload(HELLO)
        return answer

    def check_sent(self, octets: bytes) -> None:
        """Exactly the frames that are due go out, sealed under the right keys with the next counter, or plain."""
        for frame in StreamDecoder().feed(octets):
            assert self.outgoing, "a frame goes out although none is due"
            type_byte, seq, session = self.outgoing.popleft()
            assert (frame.type, frame.seq) == (type_byte, seq), "another frame goes out than is due"
            assert (frame.trailer is None) == (session is None), "a frame is sealed that should not be, or plain"
            if session is not None and frame.trailer is not None:
                session.sent += 1
                assert int.from_bytes(frame.trailer[:4], "little") == session.sent, "a counter is left out or repeated"
                assert session.verifier.verdict(frame) is Verdict.GENUINE, "a frame goes out under other keys"
        assert not self.outgoing, "a frame that is due does not go out"

    def _with_trailer(self, frame: Frame, cause: RejectCause | None, now: float) -> list[DeviceRequest]:
        session, counter = self.made.get((frame.type, frame.seq, frame.payload, frame.trailer), (None, 0))
        if frame.major != 1 or cause not in (None, RejectCause.UNKNOWN_TYPE, RejectCause.PAYLOAD):
            session = None
        if self.session is not None and session is self.session:
            if counter <= self.session.newest:
                self.replayed += 1
                return []
            self.session.newest = counter
            return self._acts(frame, cause, self.session, now)
        if frame.type == HandshakeConfirm.TYPE and cause is None and self.pending is not None:
            pending, self.pending = self.pending, None
            if session is not pending:
                self.forged += 1
                self.failures += 1
                if self.failures == FAILURES_ALLOWED:
                    self.failures, self.locked_until_s = 0, now + LOCKED_S
                return []
            self.failures = 0
            self._forget(self.known[True])
            self.session = pending
            self.session.newest = counter
            return self._acts(frame, cause, pending, now, begins=True)
        if self.session is not None:
            self.forged += 1
        else:
            self._sends_nak(frame.seq, None)
        return []

    def _acts(
        self, frame: Frame, cause: RejectCause | None, session: _Session | None, now: float, *, begins: bool = False
    ) -> list[DeviceRequest]:
        if cause is not None:
            self._sends_nak(frame.seq, session)
            return []
        known = self.known[session is not None]
        before = known.get(frame.seq)
        if before is not None and before.content == (frame.type, frame.payload):
            if before.reply_type is not None:
                self.repeats += 1
                self.outgoing.append((before.reply_type, frame.seq, session))
            return []
        if frame.type == HelloRequest.TYPE and session is None:
            self._forget(known)
            self.hello_request, self.hello = frame.payload, None
        elif before is not None:
            self._sends_nak(frame.seq, session)
            return []
        if len(known) == REPLIES_KEPT:
            known.pop(next(iter(known))).is_lost = True
        known[frame.seq] = exchange = _Exchange((frame.type, frame.payload), session)
        if frame.type in (HandshakeRequest.TYPE, HandshakeConfirm.TYPE) and not begins:
            exchange.reply_type = self._shakes_hands(frame, session, now)
            self.outgoing.append((exchange.reply_type, frame.seq, session))
            return []
        self.waiting.append(exchange)
        return [DeviceRequest(frame.seq, decode_payload(frame.type, frame.payload), session is not None)]

    def _shakes_hands(self, frame: Frame, session: _Session | None, now: float) -> int:
        if session is not None or now < self.locked_until_s or self.hello is None:
            return Nak.TYPE
        self.draws += 1
        device_nonce = self.draws.to_bytes(16, "little")
        keys = derive_session_keys(TEST_KEY, host_nonce=frame.payload, device_nonce=device_nonce, hello=self.hello)
        self.pending = _Session(keys, Sealer(keys, Direction.TO_DEVICE), Verifier(keys, Direction.TO_HOST))
        return Handshake.TYPE

    def _sends_nak(self, seq: int, session: _Session | None) -> None:
        self.outgoing.append((Nak.TYPE, seq, session))

    @staticmethod
    def _forget(known: dict[int, _Exchange]) -> None:
        for exchange in known.values():
            exchange.is_lost = True
        known.clear()


def _for_device(choices: Choices, model: _DeviceModel) -> bytes:
    """What comes next: steps of an opening, sealed requests, old frames again, forged ones, any others."""
    match choices.below(12):
        case 0:
            return any_piece(choices)[0]
        case 1:
            return any_sent(choices, REQUEST_TYPES).on_the_wire()
        case 2:
            hello = encode_payload(HelloRequest(1, 0, choices.below(8)))
            return Sent(HelloRequest.TYPE, choices.below(4), hello).on_the_wire()
        case 3:
            return Sent(HandshakeRequest.TYPE, choices.below(40), choices.octets(16)).on_the_wire()
        case 4 | 5 if model.pending is not None:
            return model.sealed(model.pending, HandshakeConfirm.TYPE, choices.below(40), b"")
        case 6 if model.wires:
            return model.wires[-1 - choices.below(len(model.wires))] * (1 + choices.below(2))
        case 7 if model.wires:
            return changed(choices, model.wires[-1 - choices.below(len(model.wires))])
        case 8:
            return Sent(HandshakeConfirm.TYPE, choices.below(40), b"", choices.octets(TRAILER_BYTES)).on_the_wire()
        case _ if model.session is not None:
            type_byte = REQUEST_TYPES[choices.below(len(REQUEST_TYPES))]
            payload = fitting_payload(choices, type_byte, choices.below(4))
            return model.sealed(model.session, type_byte, choices.below(20), payload)
    return Sent(REQUEST_TYPES[choices.below(len(REQUEST_TYPES))], choices.below(20), b"").on_the_wire()
