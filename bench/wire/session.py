"""What happened on the wire: packets in, frames and rejects out, with retries, latencies and losses worked out."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.wire.pcapng import Packet
from bench.wire.runs import RunCutter
from driver.transport.tapped import Direction
from protocol.framing import Frame, Reject, RejectCause, StreamDecoder
from protocol.registry import DEFINITIONS, Role, answers

REQUESTS_REMEMBERED = 64
COUNTER_BYTES = 4

Line = Direction | None


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame or reject. `packet` counts from 1, as Wireshark does, None where there are none; `raw` are its bytes.

    `attempt` is 2 for the first retry of a request. A reply `answers` a request by name, `latency_ns` after its newest
    attempt, `since_first_ns` after its first one. `lost_before` notifications are missing by their sequence numbers.
    """

    time_ns: int | None
    direction: Line
    packet: int | None
    item: Frame | Reject
    raw: bytes
    attempt: int = 1
    answers: str = ""
    latency_ns: int | None = None
    since_first_ns: int | None = None
    lost_before: int = 0
    note: str = ""

    @property
    def frame(self) -> Frame | None:
        """The frame; of a reject, that whose CRC held and that only we cannot use."""
        return self.item if isinstance(self.item, Frame) else self.item.frame

    @property
    def name(self) -> str:
        """The message's name; empty where there is no frame."""
        return message_name(self.frame.type) if self.frame is not None else ""


@dataclass(slots=True)
class Tally:
    """Counts of a session so far. `lost` is by name of the message; `open_bytes` belong to no closed run yet."""

    first_ns: int | None = None
    last_ns: int | None = None
    bytes: Counter[Line] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    rejects: Counter[RejectCause] = field(default_factory=Counter)
    frames: int = 0
    requests: int = 0
    answered: int = 0
    retries: int = 0
    stray_replies: int = 0
    latencies_ns: list[int] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    gaps: int = 0
    open_bytes: int = 0

    @property
    def unanswered(self) -> int:
        """Requests without any reply."""
        return self.requests - self.answered

    @property
    def duration_ns(self) -> int | None:
        """From the first packet to the last."""
        return None if self.first_ns is None or self.last_ns is None else self.last_ns - self.first_ns


class Session:
    """Follows one wire, its packets in order; each direction is a stream of its own."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._streams: dict[Line, _Stream] = {}
        self._asked: dict[int, _Asked] = {}
        self._newest: _Asked | None = None
        self._sequences: dict[int, int] = {}

    def feed(self, packet: Packet) -> Iterator[Heard]:
        """What the packet completes."""
        tally = self.tally
        if packet.time_ns is not None:
            tally.first_ns = packet.time_ns if tally.first_ns is None else min(tally.first_ns, packet.time_ns)
            tally.last_ns = packet.time_ns if tally.last_ns is None else max(tally.last_ns, packet.time_ns)
        tally.bytes[packet.direction] += len(packet.data)
        stream = self._streams.setdefault(packet.direction, _Stream())
        for run in stream.cutter.feed(packet.data):
            for item in stream.decoder.scan(run):
                yield self._heard(packet, item, run)
        tally.open_bytes = sum(each.cutter.open_bytes for each in self._streams.values())

    def _heard(self, packet: Packet, item: Frame | Reject, run: bytes) -> Heard:
        heard = functools.partial(Heard, packet.time_ns, packet.direction, packet.number, item, run)
        if isinstance(item, Reject):
            self.tally.rejects[item.cause] += 1
            return heard()
        self.tally.frames += 1
        self.tally.messages[message_name(item.type)] += 1
        role = DEFINITIONS[item.type].role
        if role is Role.REQUEST:
            if packet.direction is Direction.TO_HOST:
                return heard(note="an echo: no device sends a request")
            return heard(attempt=self._follow_request(item, packet.time_ns))
        if packet.direction is Direction.TO_DEVICE:
            return heard(note="from the host, though only a device sends it")
        if role is Role.NOTIFICATION:
            return heard(lost_before=self._follow_sequence(item))
        return self._reply(heard, item, packet.time_ns)

    def _follow_request(self, frame: Frame, time_ns: int | None) -> int:
        asked = self._newest
        if asked is not None and (asked.seq, asked.type, asked.payload) == (frame.seq, frame.type, frame.payload):
            asked.attempts += 1
            asked.last_ns = time_ns
            self.tally.retries += 1
            return asked.attempts
        self.tally.requests += 1
        self._newest = _Asked(frame.seq, frame.type, frame.payload, time_ns, time_ns)
        self._asked.pop(frame.seq, None)
        self._asked[frame.seq] = self._newest
        if len(self._asked) > REQUESTS_REMEMBERED:
            del self._asked[next(iter(self._asked))]
        return 1

    def _reply(self, heard: functools.partial[Heard], frame: Frame, time_ns: int | None) -> Heard:
        asked = self._asked.get(frame.seq)
        if asked is None:
            self.tally.stray_replies += 1
            return heard(note="answers no request that was heard")
        name = message_name(asked.type)
        if not answers(frame.type, asked.type):
            self.tally.stray_replies += 1
            return heard(note=f"does not answer {name}, which has this seq")
        latency_ns = _since(asked.last_ns, time_ns)
        if asked.answered:
            self.tally.stray_replies += 1
            return heard(answers=name, latency_ns=latency_ns, note="answered before")
        asked.answered = True
        self.tally.answered += 1
        if latency_ns is not None:
            self.tally.latencies_ns.append(latency_ns)
        late = "late: the host had gone on" if asked is not self._newest else ""
        since_first_ns = _since(asked.first_ns, time_ns) if asked.attempts > 1 else None
        return heard(answers=name, latency_ns=latency_ns, since_first_ns=since_first_ns, note=late)

    def _follow_sequence(self, frame: Frame) -> int:
        """How many of its stream are missing before it; a number that goes back tells of a reset, not of a loss."""
        width = _sequence_bits(frame.type)
        if width is None:
            return 0
        sequence: int = frame.message.sequence  # type: ignore[attr-defined]
        last = self._sequences.get(frame.type)
        self._sequences[frame.type] = sequence
        ahead = 1 if last is None else (sequence - last) % (1 << width)
        if not 1 < ahead < 1 << width - 1:
            return 0
        self.tally.lost[message_name(frame.type)] += ahead - 1
        self.tally.gaps += 1
        return ahead - 1


@dataclass(slots=True)
class _Stream:
    cutter: RunCutter = field(default_factory=RunCutter)
    decoder: StreamDecoder = field(default_factory=StreamDecoder)


@dataclass(slots=True)
class _Asked:
    seq: int
    type: int
    payload: bytes
    first_ns: int | None
    last_ns: int | None
    attempts: int = 1
    answered: bool = False


def message_name(type_byte: int) -> str:
    """The name of a message type, known or not."""
    entry = DEFINITIONS.get(type_byte)
    return entry.message.__name__ if entry is not None else f"type 0x{type_byte:02X}"


def _since(then_ns: int | None, now_ns: int | None) -> int | None:
    return None if then_ns is None or now_ns is None else now_ns - then_ns


@functools.cache
def _sequence_bits(type_byte: int) -> int | None:
    """How many bits number the notifications of a type; None where nothing does."""
    kinds = {field.name: field.kind for field in DEFINITIONS[type_byte].codec.fields}
    kind = kinds.get("sequence", "")
    return int(kind[1:]) if kind in ("u8", "u16", "u32", "u64") else None
