"""Changes to a genuine sealed frame, CRC and COBS made right again behind them: what a receiver's checksums let in."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cobs.cobs import decode as cobs_decode
from cobs.cobs import encode as cobs_encode
from fastcrc.crc32 import iscsi as crc32c

from protocol.wire import CRC_BYTES, FLAG_TRAILER, HEADER, MAX_PAYLOAD_BYTES, TRAILER_BYTES

COUNTER_BYTES = 4
REQUEST_TYPES = 0x80
LENGTH_AT = 4


@dataclass(frozen=True, slots=True)
class Sealed:
    """The body of a sealed frame, from version to tag, in parts."""

    header: bytes
    payload: bytes
    counter: bytes
    tag: bytes

    @property
    def body(self) -> bytes:
        return self.header + self.payload + self.counter + self.tag


def opened(frame: bytes) -> Sealed:
    """The parts of a frame as it is on the wire."""
    body = cobs_decode(frame.strip(b"\0"))[:-CRC_BYTES]
    trailer_at = len(body) - TRAILER_BYTES
    return Sealed(
        body[: HEADER.size],
        body[HEADER.size : trailer_at],
        body[trailer_at : trailer_at + COUNTER_BYTES],
        body[trailer_at + COUNTER_BYTES :],
    )


def closed(body: bytes) -> bytes:
    """A frame for the wire, with the CRC that its body has now."""
    encoded: bytes = cobs_encode(body + crc32c(body).to_bytes(CRC_BYTES, "little"))
    return b"\0" + encoded + b"\0"


Mutation = Callable[[Sealed, Sequence[Sealed], random.Random], bytes]


def _bits(sealed: Sealed, _: Sequence[Sealed], draw: random.Random) -> bytes:
    body = bytearray(sealed.body)
    for bit in draw.sample(range(8 * len(body)), draw.randint(1, 8)):
        body[bit // 8] ^= 1 << bit % 8
    return bytes(body)


def _type(sealed: Sealed, _: Sequence[Sealed], draw: random.Random) -> bytes:
    header = bytearray(sealed.header)
    header[1] = draw.randrange(REQUEST_TYPES)
    return bytes(header) + sealed.payload + sealed.counter + sealed.tag


def _seq(sealed: Sealed, _: Sequence[Sealed], draw: random.Random) -> bytes:
    header = bytearray(sealed.header)
    header[2:4] = draw.randbytes(2)
    return bytes(header) + sealed.payload + sealed.counter + sealed.tag


def _payload(sealed: Sealed, _: Sequence[Sealed], draw: random.Random) -> bytes:
    """One byte of what is asked for, or, where nothing is, one byte more."""
    payload = bytearray(sealed.payload)
    if not payload:
        return _longer(sealed, _, draw)
    payload[draw.randrange(len(payload))] ^= draw.randint(1, 255)
    return sealed.header + bytes(payload) + sealed.counter + sealed.tag


def _longer(sealed: Sealed, _: Sequence[Sealed], draw: random.Random) -> bytes:
    more = draw.randbytes(draw.randint(1, MAX_PAYLOAD_BYTES - len(sealed.payload)))
    return _with_payload(sealed, sealed.payload + more)


def _shorter(sealed: Sealed, _: Sequence[Sealed], draw: random.Random) -> bytes:
    return _with_payload(sealed, sealed.payload[: draw.randrange(len(sealed.payload) + 1)])


def _counter(sealed: Sealed, _: Sequence[Sealed], draw: random.Random) -> bytes:
    now = int.from_bytes(sealed.counter, "little")
    near = draw.choice((0xFFFFFFFF, 0, now - 1, now + draw.randint(1, 99)))
    counter = draw.choice((near, draw.getrandbits(32)))
    return sealed.header + sealed.payload + counter.to_bytes(COUNTER_BYTES, "little") + sealed.tag


def _tag(sealed: Sealed, _: Sequence[Sealed], draw: random.Random) -> bytes:
    place, size = draw.randrange(len(sealed.tag)), len(sealed.tag)
    one_byte_off = bytearray(sealed.tag)
    one_byte_off[place] ^= draw.randint(1, 255)
    tag = draw.choice((bytes(one_byte_off), draw.randbytes(size), sealed.tag[:place] + draw.randbytes(size - place)))
    return sealed.header + sealed.payload + sealed.counter + tag


def _trailer_of_another(sealed: Sealed, others: Sequence[Sealed], draw: random.Random) -> bytes:
    other = draw.choice(others)
    return sealed.header + sealed.payload + other.counter + other.tag


def _content_of_another(sealed: Sealed, others: Sequence[Sealed], draw: random.Random) -> bytes:
    other = draw.choice(others)
    return other.header + other.payload + sealed.counter + sealed.tag


def _without_trailer(sealed: Sealed, others: Sequence[Sealed], draw: random.Random) -> bytes:
    """In the open, as to a pump without a key."""
    sealed = draw.choice((sealed, *others))
    header = bytearray(sealed.header)
    header[0] &= ~FLAG_TRAILER & 0xFF
    return bytes(header) + sealed.payload


def _trailer_as_payload(sealed: Sealed, others: Sequence[Sealed], draw: random.Random) -> bytes:
    sealed = draw.choice((sealed, *others))
    header = bytearray(sealed.header)
    header[0] &= ~FLAG_TRAILER & 0xFF
    payload = (sealed.payload + sealed.counter + sealed.tag)[:MAX_PAYLOAD_BYTES]
    header[LENGTH_AT:] = len(payload).to_bytes(2, "little")
    return bytes(header) + payload


def _version(sealed: Sealed, _: Sequence[Sealed], draw: random.Random) -> bytes:
    return bytes([sealed.header[0] ^ draw.randint(1, 255)]) + sealed.body[1:]


def _with_payload(sealed: Sealed, payload: bytes) -> bytes:
    header = sealed.header[:LENGTH_AT] + len(payload).to_bytes(2, "little")
    return header + payload + sealed.counter + sealed.tag


MUTATIONS: dict[str, Mutation] = {
    "1 to 8 bits": _bits,
    "type": _type,
    "seq": _seq,
    "a byte of the payload": _payload,
    "longer payload": _longer,
    "shorter payload": _shorter,
    "counter": _counter,
    "tag": _tag,
    "trailer of another frame": _trailer_of_another,
    "content of another frame": _content_of_another,
    "without the trailer": _without_trailer,
    "trailer as payload": _trailer_as_payload,
    "version and flags": _version,
}
