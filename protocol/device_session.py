"""The device's half of a session, without I/O: received bytes in, requests to act on and bytes to send out.

`now` is monotonic seconds of any clock, always the same one. The rules and their reasons are in docs/protocol.md.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

from protocol.enums import NakReason
from protocol.errors import SessionError
from protocol.framing import PROTOCOL_MAJOR, Frame, Reject, RejectCause, StreamDecoder, encode, encode_frame
from protocol.messages import HelloRequest, Nak
from protocol.registry import FIRST_NOTIFICATION_TYPE, FIRST_REPLY_TYPE, Message, answers, encode_payload

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
}


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """A request to act on once and to answer once with `DeviceSession.reply(seq, …)`, in the order given."""

    seq: int
    message: Message


@dataclass(slots=True)
class _Exchange:
    request_type: int
    digest: bytes
    reply: tuple[int, bytes] | None = None


class DeviceSession:
    """Hands each request up once, answers retries from a cache of the last 16 replies, refuses what it cannot read.

    A HELLO with new content opens a new session and clears the cache. What is not acted on is counted: `replays` were
    answered from the cache, `repeats_pending` arrived before their reply was made, `dropped_replies` came after
    their session or their place in the cache was gone, `echoes` are messages that only a device sends.
    """

    def __init__(self) -> None:
        self.decoder = StreamDecoder()
        self.replays = 0
        self.repeats_pending = 0
        self.dropped_replies = 0
        self.echoes = 0
        self.last_heard_s: float | None = None
        self._exchanges: dict[int, _Exchange] = {}
        self._abandoned: Counter[int] = Counter()
        self._to_send = bytearray()

    def receive(self, data: bytes, now: float) -> list[DeviceRequest]:
        """The requests to act on; never raises, whatever the bytes are."""
        requests: list[DeviceRequest] = []
        for item in self.decoder.scan(data):
            frame = item.frame if isinstance(item, Reject) else item
            if frame is None:
                continue
            self.last_heard_s = now
            if frame.type >= FIRST_REPLY_TYPE:
                self.echoes += 1
            elif isinstance(item, Reject):
                self._refuse(frame.seq, _NAK_FOR[item.cause])
            elif self._is_new(frame):
                requests.append(DeviceRequest(frame.seq, frame.message))
        return requests

    def reply(self, seq: int, message: Message) -> None:
        """Answer a request that `receive` gave; the reply is kept for retries.

        Of requests with one seq in two sessions, the older is answered first: its reply is dropped.

        Raises:
            SessionError: no request with this seq waits for an answer, or the message does not answer it.
            EncodeError: a field holds a value that the wire cannot carry.
        """
        exchange = self._exchanges.get(seq)
        if self._abandoned[seq]:
            self._abandoned -= Counter([seq])
            self.dropped_replies += 1
        elif exchange is not None and exchange.reply is None and answers(message.TYPE, exchange.request_type):
            payload = encode_payload(message)
            self._to_send += encode_frame(message.TYPE, seq, payload)
            exchange.reply = (message.TYPE, payload)
        else:
            raise SessionError(f"{type(message).__name__} answers no request that waits with seq {seq}")

    def notify(self, message: Message) -> None:
        """Send telemetry or an event; nothing is kept of it.

        Raises:
            SessionError: the message is not a notification.
            EncodeError: a field holds a value that the wire cannot carry.
        """
        if message.TYPE < FIRST_NOTIFICATION_TYPE:
            raise SessionError(f"{type(message).__name__} is not a notification; replies go through reply(seq, …)")
        self._to_send += encode(message, seq=NOTIFICATION_SEQ)

    def data_to_send(self) -> bytes:
        """The bytes to write now; each is given once."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def _is_new(self, frame: Frame) -> bool:
        digest = hashlib.sha256(bytes([frame.type]) + frame.payload).digest()
        exchange = self._exchanges.get(frame.seq)
        if exchange is not None and exchange.digest == digest:
            self._answer_again(frame.seq, exchange)
            return False
        if frame.type == HelloRequest.TYPE:
            self._open_session()
        elif exchange is not None:
            self._refuse(frame.seq, NakReason.SEQ_REUSED)
            return False
        if len(self._exchanges) == REPLIES_KEPT:
            self._forget_oldest()
        self._exchanges[frame.seq] = _Exchange(frame.type, digest)
        return True

    def _answer_again(self, seq: int, exchange: _Exchange) -> None:
        if exchange.reply is None:
            self.repeats_pending += 1
            return
        self.replays += 1
        type_byte, payload = exchange.reply
        self._to_send += encode_frame(type_byte, seq, payload)

    def _open_session(self) -> None:
        self._abandoned.update(seq for seq, exchange in self._exchanges.items() if exchange.reply is None)
        self._exchanges.clear()

    def _forget_oldest(self) -> None:
        seq = next(iter(self._exchanges))
        if self._exchanges.pop(seq).reply is None:
            self._abandoned[seq] += 1

    def _refuse(self, seq: int, reason: NakReason) -> None:
        self._to_send += encode(Nak(reason, _NAK_DETAIL[reason]), seq=seq)
