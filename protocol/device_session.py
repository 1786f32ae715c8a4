"""The device's half of a session, without I/O: received bytes in, requests to act on and bytes to send out.

`now` is monotonic seconds of any clock, always the same one. The rules and their reasons are in docs/protocol.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from protocol.enums import NakReason
from protocol.errors import SessionError
from protocol.framing import PROTOCOL_MAJOR, Frame, Reject, RejectCause, StreamDecoder, encode, encode_frame
from protocol.handshake import Admission, DeviceGuard
from protocol.messages import HandshakeConfirm, HandshakeRequest, Hello, HelloRequest, Nak
from protocol.registry import (
    FIRST_NOTIFICATION_TYPE,
    FIRST_REPLY_TYPE,
    Message,
    answers,
    decode_payload,
    encode_payload,
)
from protocol.security import Sealer

REPLIES_KEPT = 16
NOTIFICATION_SEQ = 0

_NAK_FOR = {
    RejectCause.VERSION: NakReason.VERSION,
    RejectCause.LENGTH: NakReason.MALFORMED,
    RejectCause.UNKNOWN_TYPE: NakReason.UNKNOWN_TYPE,
    RejectCause.PAYLOAD: NakReason.MALFORMED,
}
_NAK_DETAIL = {
    NakReason.VERSION: f"this device speaks major version {PROTOCOL_MAJOR}",
    NakReason.MALFORMED: "the payload does not fit its type",
    NakReason.UNKNOWN_TYPE: "this device does not know the type",
    NakReason.SEQ_REUSED: "this seq was used for another request",
    NakReason.UNAUTHENTICATED: "only in a session opened with the key",
}
_HANDSHAKE_TYPES = frozenset({HandshakeRequest.TYPE, HandshakeConfirm.TYPE})
_PLAIN = Admission.PLAIN


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """A request to act on once and to answer once with `DeviceSession.reply(seq, …)`, in the order given.

    `is_sealed`: it was made with the device's key. A HandshakeConfirm is handed up where a sealed session begins: what
    belonged to the one before (streams, lease) ends here, and the answer is Ack.
    """

    seq: int
    message: Message
    is_sealed: bool = False


@dataclass(slots=True)
class _Exchange:
    request_type: int
    digest: bytes
    sealer: Sealer | None
    reply: tuple[int, bytes] | None = None
    is_lost: bool = False


class DeviceSession:
    """Hands each request up once, answers retries from a cache of the last 16 replies, refuses what it cannot read.

    A HELLO with new content opens a new session and clears the cache. What is not acted on is counted: `replays` were
    answered from the cache, `repeats_pending` arrived before their reply was made, `dropped_replies` came after
    their session or their place in the cache was gone, `echoes` are messages that only a device sends.

    With a `guard` that holds a key, requests outside READ_ONLY_TYPES are taken only sealed. Sealed requests have a
    cache of their own, which nothing unsealed touches; replies to them, and all notifications while a sealed session
    is in force, are sealed. Of sealed frames, `forged` were not made with the key, `replayed` had an old counter.
    """

    def __init__(self, guard: DeviceGuard | None = None) -> None:
        self.decoder = StreamDecoder()
        self.replays = 0
        self.repeats_pending = 0
        self.dropped_replies = 0
        self.echoes = 0
        self.forged = 0
        self.replayed = 0
        self.last_heard_s: float | None = None
        self._guard = guard
        self._plain: dict[int, _Exchange] = {}
        self._sealed: dict[int, _Exchange] = {}
        self._waiting: dict[int, list[_Exchange]] = {}
        self._hello_request = b""
        self._hello: bytes | None = None
        self._to_send = bytearray()
        if guard is not None:
            guard.end_session()

    @property
    def is_sealed(self) -> bool:
        """Whether a sealed session is in force."""
        return self._sealer is not None

    def receive(self, data: bytes, now: float) -> list[DeviceRequest]:
        """The requests to act on; never raises, whatever the bytes are."""
        requests: list[DeviceRequest] = []
        guard = self._guard
        for item in self.decoder.scan(data):
            frame, cause = (item.frame, item.cause) if isinstance(item, Reject) else (item, None)
            if frame is None:
                continue
            if frame.type >= FIRST_REPLY_TYPE:
                self.echoes += 1
                continue
            admission = _PLAIN if guard is None else guard.admit(frame, cause, now)
            if admission is _PLAIN:
                sealer = None
            elif self._is_dropped(frame, admission):
                continue
            else:
                sealer = self._sealer
            self.last_heard_s = now
            if cause is not None:
                self._refuse(frame.seq, _NAK_FOR[cause], sealer)
            elif (exchange := self._new_exchange(frame, sealer)) is not None:
                if guard is not None and frame.type in _HANDSHAKE_TYPES and admission is not Admission.OPENED:
                    self._answer(frame.seq, exchange, self._shaken(guard, frame, sealer, now))
                else:
                    self._waiting.setdefault(frame.seq, []).append(exchange)
                    requests.append(DeviceRequest(frame.seq, frame.message, sealer is not None))
        return requests

    def reply(self, seq: int, message: Message) -> None:
        """Answer a request that `receive` gave; the reply is kept for retries.

        Of requests with one seq in two sessions, the older is answered first; where its session is over, its reply is
        dropped.

        Raises:
            SessionError: no request with this seq waits for an answer, or the message does not answer it.
            EncodeError: a field holds a value that the wire cannot carry.
        """
        waiting = self._waiting.get(seq)
        if waiting is None or not ((exchange := waiting[0]).is_lost or answers(message.TYPE, exchange.request_type)):
            raise SessionError(f"{type(message).__name__} answers no request that waits with seq {seq}")
        if exchange.is_lost or (exchange.sealer is not None and exchange.sealer is not self._sealer):
            self.dropped_replies += 1
        else:
            self._answer(seq, exchange, message)
        if len(waiting) == 1:
            del self._waiting[seq]
        else:
            del waiting[0]

    def notify(self, message: Message) -> None:
        """Send telemetry or an event; nothing is kept of it.

        Raises:
            SessionError: the message is not a notification.
            EncodeError: a field holds a value that the wire cannot carry.
        """
        if message.TYPE < FIRST_NOTIFICATION_TYPE:
            raise SessionError(f"{type(message).__name__} is not a notification; replies go through reply(seq, …)")
        sealer = self._sealer
        if sealer is None:
            self._to_send += encode(message, seq=NOTIFICATION_SEQ)
        else:
            self._send(message.TYPE, NOTIFICATION_SEQ, encode_payload(message), sealer)

    def data_to_send(self) -> bytes:
        """The bytes to write now; each is given once."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    @property
    def _sealer(self) -> Sealer | None:
        return None if self._guard is None else self._guard.sealer

    def _is_dropped(self, frame: Frame, admission: Admission) -> bool:
        match admission:
            case Admission.UNAUTHENTICATED:
                self._refuse(frame.seq, NakReason.UNAUTHENTICATED, None)
                return True
            case Admission.FORGED:
                self.forged += 1
                return True
            case Admission.REPLAYED:
                self.replayed += 1
                return True
            case Admission.OPENED:
                _lose(self._sealed)
        return False

    def _new_exchange(self, frame: Frame, sealer: Sealer | None) -> _Exchange | None:
        """The exchange that a request begins; None where it is a repeat, or refused."""
        exchanges = self._plain if sealer is None else self._sealed
        digest = hashlib.sha256(bytes([frame.type]) + frame.payload).digest()
        exchange = exchanges.get(frame.seq)
        if exchange is not None and exchange.digest == digest:
            self._answer_again(frame.seq, exchange)
            return None
        if frame.type == HelloRequest.TYPE and sealer is None:
            _lose(exchanges)
            self._hello_request, self._hello = frame.payload, None
        elif exchange is not None:
            self._refuse(frame.seq, NakReason.SEQ_REUSED, sealer)
            return None
        if len(exchanges) == REPLIES_KEPT:
            exchanges.pop(next(iter(exchanges))).is_lost = True
        exchanges[frame.seq] = exchange = _Exchange(frame.type, digest, sealer)
        return exchange

    def _answer_again(self, seq: int, exchange: _Exchange) -> None:
        if exchange.reply is None:
            self.repeats_pending += 1
            return
        self.replays += 1
        self._send(exchange.reply[0], seq, exchange.reply[1], exchange.sealer)

    def _shaken(self, guard: DeviceGuard, frame: Frame, sealer: Sealer | None, now: float) -> Message:
        request = decode_payload(frame.type, frame.payload)
        if sealer is not None:
            return Nak(NakReason.WRONG_STATE, "this session is open already")
        if not isinstance(request, HandshakeRequest):
            return Nak(NakReason.UNSUPPORTED, "this device has no key")
        return guard.answer(request, self._hello, now)

    def _answer(self, seq: int, exchange: _Exchange, message: Message) -> None:
        payload = encode_payload(message)
        if exchange.sealer is None:
            self._to_send += encode_frame(message.TYPE, seq, payload)
        else:
            self._send(message.TYPE, seq, payload, exchange.sealer)
        exchange.reply = (message.TYPE, payload)
        if message.TYPE == Hello.TYPE and exchange.sealer is None:
            self._hello = self._hello_request + payload

    def _refuse(self, seq: int, reason: NakReason, sealer: Sealer | None) -> None:
        nak = Nak(reason, _NAK_DETAIL[reason])
        self._send(nak.TYPE, seq, encode_payload(nak), sealer)

    def _send(self, type_byte: int, seq: int, payload: bytes, sealer: Sealer | None) -> None:
        if sealer is None:
            self._to_send += encode_frame(type_byte, seq, payload)
            return
        self._to_send += sealer.frame(type_byte, seq, payload)
        if not sealer.left and self._guard is not None:
            self._guard.end_session()


def _lose(exchanges: dict[int, _Exchange]) -> None:
    """Forget the exchanges of a session that is over; replies to them go nowhere."""
    for exchange in exchanges.values():
        exchange.is_lost = True
    exchanges.clear()
