"""Damages frames by the hundred thousand and counts what the decoder loses and what it wrongly accepts.

`python benchmarks/corruption.py` prints a Markdown table and ends with status 1 if a figure that must be 0 is not.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from time import process_time

import numpy as np

from protocol import (
    SCHEMA_HASH,
    DeviceRequest,
    DeviceSession,
    Frame,
    Hello,
    HelloRequest,
    HostSession,
    Nak,
    NakReason,
    Proposal,
    Reply,
    StreamDecoder,
    Telemetry,
    encode_frame,
    encode_payload,
)
from protocol.framing import MAX_PAYLOAD_BYTES, TRAILER_BYTES
from protocol.layout import FieldLayout
from protocol.registry import DEFINITIONS, Definition

DAMAGED_SHARE = 0.05
LARGEST_CHUNK_BYTES = 4096
NOISE_BYTES = 64 * 1024
PROPOSAL_HEAD_BYTES = DEFINITIONS[Proposal.TYPE].codec.head.size
ROW_FRAMES = 12
DAMAGES = ("flips", "truncation", "insertion", "deletion", "duplicated run")

Content = tuple[int, int, bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class DamagedStream:
    """The bytes on the line. `contents`, `starts` (offset of the first byte) and `damaged` are by frame sent."""

    data: bytes
    contents: list[Content]
    starts: list[int]
    damaged: frozenset[int]

    def chunks(self, rng: random.Random) -> Iterator[bytes]:
        """The stream in pieces of 1 to 4096 bytes, short and long ones alike often."""
        position = 0
        while position < len(self.data):
            size = rng.randint(1, 2 ** rng.randint(0, LARGEST_CHUNK_BYTES.bit_length() - 1))
            yield self.data[position : position + size]
            position += size


@dataclass(frozen=True, slots=True)
class StreamScore:
    """What became of a damaged stream. `lost` and `foreign` must be 0; `survivors` are damaged frames read as sent."""

    lost: int
    foreign: int
    survivors: int
    rejects: int


@dataclass(frozen=True, slots=True)
class FlipScore:
    """What became of damaged copies of one frame: `foreign` must be 0; `survivors` were read as sent."""

    copies: int = 0
    foreign: int = 0
    survivors: int = 0

    def __add__(self, other: FlipScore) -> FlipScore:
        return FlipScore(self.copies + other.copies, self.foreign + other.foreign, self.survivors + other.survivors)


def damaged_stream(frames: int, rng: random.Random, *, telemetry_only: bool = False) -> DamagedStream:
    """`frames` frames of random contents, 5 % of them damaged: of all types, 1 in 10 with a trailer, or telemetry."""
    damaged = frozenset(rng.sample(range(frames), round(frames * DAMAGED_SHARE)))
    definitions = [DEFINITIONS[Telemetry.TYPE]] if telemetry_only else list(DEFINITIONS.values())
    contents: list[Content] = []
    starts: list[int] = []
    pieces: list[bytes] = []
    offset = 0
    for number in range(frames):
        definition = rng.choice(definitions)
        trailer = rng.randbytes(TRAILER_BYTES) if rng.random() < 0.1 and not telemetry_only else None
        content = (definition.type_byte, number & 0xFFFF, random_payload(definition, rng), trailer)
        piece = encode_frame(*content[:3], trailer=trailer)
        if number in damaged:
            piece = damage(piece, rng.choice(DAMAGES), rng)
        contents.append(content)
        starts.append(offset)
        pieces.append(piece)
        offset += len(piece)
    return DamagedStream(b"".join(pieces), contents, starts, damaged)


def random_payload(definition: Definition, rng: random.Random) -> bytes:
    """A payload that fits its type: fields random, all zeros or all ones; texts ASCII; tails of any length."""
    room = MAX_PAYLOAD_BYTES - definition.codec.head.size
    payload = b""
    for field in definition.codec.fields:
        if field.record is not None:
            count_bytes = struct.calcsize(field.record.count_code)
            count = rng.randint(0, min((room - count_bytes) // field.record.size, 256**count_bytes - 1))
            payload += count.to_bytes(count_bytes, "little")
            payload += b"".join(random_field(each, rng) for _ in range(count) for each in field.record.fields)
        elif field.kind == "tail":
            payload += random_octets(rng.randint(0, room), rng)
        else:
            payload += random_field(field, rng)
    return payload


def random_field(field: FieldLayout, rng: random.Random) -> bytes:
    """A field of fixed size."""
    if field.kind.startswith("text"):
        text = bytes(rng.choices(range(0x20, 0x7F), k=rng.randint(0, field.size)))
        return text.ljust(field.size, b"\0")
    return random_octets(field.size, rng)


def random_octets(size: int, rng: random.Random) -> bytes:
    """Bytes: random, all zeros or all ones."""
    return rng.choice((rng.randbytes(size), rng.randbytes(size), bytes(size), b"\xff" * size))


def damage(frame: bytes, how: str, rng: random.Random) -> bytes:
    """The frame after one damage, never equal to the frame; its zeros are as much at risk as the rest."""
    size = len(frame)
    start = rng.randrange(size)
    end = rng.randint(start + 1, size)
    match how:
        case "flips":
            flipped = int.from_bytes(frame)
            for bit in rng.sample(range(8 * size), rng.randint(1, 8)):
                flipped ^= 1 << bit
            return flipped.to_bytes(size)
        case "truncation":
            return frame[:start] if rng.random() < 0.5 else frame[start + 1 :]
        case "insertion":
            return frame[:start] + rng.randbytes(rng.randint(1, 32)) + frame[start:]
        case "deletion":
            return frame[:start] + frame[end:]
        case "duplicated run":
            return frame[:end] + frame[start:]
    raise ValueError(f"damage {how!r} is unknown; known: {', '.join(DAMAGES)}")


def score_stream(stream: DamagedStream, rng: random.Random) -> StreamScore:
    """Decode the stream in random chunks; a frame counts as sent only with the content sent at its place."""
    decoder = StreamDecoder()
    intact_read: set[int] = set()
    foreign = survivors = 0
    for chunk in stream.chunks(rng):
        for frame in decoder.feed(chunk):
            number = bisect_right(stream.starts, frame.offset) - 1
            if _content(frame) != stream.contents[number] or number in intact_read:
                foreign += 1
            elif number in stream.damaged:
                survivors += 1
            else:
                intact_read.add(number)
    lost = len(stream.contents) - len(stream.damaged) - len(intact_read)
    return StreamScore(lost, foreign, survivors, sum(decoder.reject_counts.values()))


def exceptions_in_sessions(stream: DamagedStream, rng: random.Random) -> int:
    """Both sessions on the stream, at work: the host asks and retries, the device answers all it is handed."""
    host, device = HostSession(), DeviceSession()
    raised = 0
    for number, chunk in enumerate(stream.chunks(rng)):
        now = 0.1 * number
        try:
            if host.next_deadline() is None:
                host.request(HelloRequest(1, 0, rng.getrandbits(64)), now)
            host.receive(chunk, now)
            host.poll(now)
            host.data_to_send()
        except Exception:  # any at all is what this counts
            raised += 1
        try:
            _answer_all(device, device.receive(chunk, now))
            device.data_to_send()
        except Exception:  # any at all is what this counts
            raised += 1
    return raised


def frame_of_48_bytes(rng: random.Random) -> tuple[bytes, Content]:
    """A telemetry frame of random content: 48 bytes on the wire, both zeros included."""
    content = (Telemetry.TYPE, rng.getrandbits(16), random_payload(DEFINITIONS[Telemetry.TYPE], rng), None)
    return encode_frame(*content[:3]), content


def maximal_frame(rng: random.Random) -> tuple[bytes, Content]:
    """A PROPOSAL that fills all 512 payload bytes, with a trailer: no frame has more content."""
    return _proposal_frame(MAX_PAYLOAD_BYTES - PROPOSAL_HEAD_BYTES, rng.randbytes(TRAILER_BYTES), rng)


def all_flips_of_one_bit(frame: bytes, content: Content) -> FlipScore:
    """Every copy of the frame with one bit wrong."""
    return _score_copies(frame, content, np.arange(8 * len(frame))[:, None])


def all_flips_of_two_bits(frame: bytes, content: Content) -> FlipScore:
    """Every copy of the frame with two bits wrong."""
    bits = 8 * len(frame)
    score = FlipScore()
    for first in range(bits - 1):
        second = np.arange(first + 1, bits)
        score += _score_copies(frame, content, np.stack([np.full_like(second, first), second], axis=1))
    return score


def random_flips_of_three_bits(frame: bytes, content: Content, copies: int, seed: int) -> FlipScore:
    """`copies` copies of the frame, each with three different bits wrong."""
    generator = np.random.default_rng(seed)
    score = FlipScore()
    while score.copies < copies:
        drawn = np.sort(generator.integers(8 * len(frame), size=(min(4096, copies - score.copies), 3)), axis=1)
        distinct = (np.diff(drawn, axis=1) > 0).all(axis=1)
        score += _score_copies(frame, content, drawn[distinct])
    return score


def all_flips_in_a_row(rng: random.Random) -> FlipScore:
    """Every copy of a 48-byte frame with one or two bits wrong, each among intact ones that are read with it."""
    frame, content = frame_of_48_bytes(rng)
    neighbours = [frame_of_48_bytes(rng) for _ in range(ROW_FRAMES - 1)]
    before, behind = (b"".join(piece for piece, _ in half) for half in (neighbours[:5], neighbours[5:]))
    intact = [content for _, content in neighbours]
    bits = 8 * len(frame)
    score = FlipScore()
    for first in range(bits):
        for second in range(first, bits):
            wrong = int.from_bytes(frame) ^ (1 << first) ^ ((1 << second) if second > first else 0)
            read = list(map(_content, StreamDecoder().feed(before + wrong.to_bytes(len(frame)) + behind)))
            if read == intact:
                score += FlipScore(1)
            else:
                known = sum(each in intact for each in read)
                survivors = sum(each == content for each in read)
                score += FlipScore(1, abs(known - len(intact)) + len(read) - known - survivors, survivors)
    return score


def connects_behind_noise(seed: int) -> bool:
    """64 KiB of noise in front of HELLO, in both directions: is it asked once and answered at the first try?"""
    rng = random.Random(seed)
    host, device = HostSession(), DeviceSession()
    seq = host.request(HelloRequest(1, 0, rng.getrandbits(64)), 0.0)
    requests = device.receive(rng.randbytes(NOISE_BYTES) + host.data_to_send(), 0.0)
    if [request.seq for request in requests] != [seq]:
        return False
    hello = Hello(1, 0, SCHEMA_HASH, 0, MAX_PAYLOAD_BYTES, 1, 0, "implantable-20ml", "1", "1.0")
    device.reply(seq, hello)
    events = host.receive(rng.randbytes(NOISE_BYTES) + device.data_to_send(), 0.0)
    return events == [Reply(seq, hello)]


def _content(frame: Frame) -> Content:
    return frame.type, frame.seq, frame.payload, frame.trailer


def _answer_all(device: DeviceSession, requests: list[DeviceRequest]) -> None:
    for request in requests:
        device.reply(request.seq, Nak(NakReason.BUSY, "busy"))


def _proposal_frame(tail_bytes: int, trailer: bytes | None, rng: random.Random) -> tuple[bytes, Content]:
    proposal = Proposal(rng.getrandbits(64), rng.getrandbits(64), rng.randbytes(8), 1000, rng.randbytes(tail_bytes))
    content = (Proposal.TYPE, rng.getrandbits(16), encode_payload(proposal), trailer)
    return encode_frame(*content[:3], trailer=trailer), content


def _score_copies(frame: bytes, content: Content, flips: np.ndarray) -> FlipScore:
    """Decode one copy of the frame per row of `flips`, the bits to turn, with a zero between copies."""
    copies = np.zeros((len(flips), len(frame) + 1), dtype=np.uint8)
    copies[:, :-1] = np.frombuffer(frame, dtype=np.uint8)
    rows = np.arange(len(flips))
    for bits in flips.T:
        copies[rows, bits >> 3] ^= (1 << (bits & 7)).astype(np.uint8)
    read = StreamDecoder().feed(copies.tobytes())
    survivors = sum(_content(frame_read) == content for frame_read in read)
    return FlipScore(len(flips), len(read) - survivors, survivors)


def main() -> int:
    """Run the whole campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000, help="frames in the damaged stream")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--three-bit-flips", type=int, default=1_000_000, help="random 3-bit flips of each frame")
    options = parser.parse_args()
    if options.frames < 1 or options.three_bit_flips < 1:
        parser.error("--frames and --three-bit-flips must be at least 1")

    rng = random.Random(options.seed)
    failures = 0
    print("| What | Cases | Must be 0 | Damaged, yet read as sent |\n|---|---:|---|---:|")
    for telemetry_only in (False, True):
        stream = damaged_stream(options.frames, rng, telemetry_only=telemetry_only)
        score = score_stream(stream, rng)
        raised = exceptions_in_sessions(stream, rng)
        failures += score.lost + score.foreign + raised
        count = len(stream.contents)
        print(
            f"| Stream of {count:,} {'telemetry ' if telemetry_only else ''}frames, {len(stream.data):,} bytes, "
            f"{score.rejects:,} rejects | {len(stream.damaged):,} damaged | {score.lost} intact frames lost, "
            f"{score.foreign} accepted that were not sent | {score.survivors} |"
        )
        print(f"| The same stream through HostSession and DeviceSession | {count:,} | {raised} exceptions | |")
    for frame, content in (frame_of_48_bytes(rng), maximal_frame(rng)):
        for name, flips in (
            ("all 1-bit flips", all_flips_of_one_bit(frame, content)),
            ("all 2-bit flips", all_flips_of_two_bits(frame, content)),
            (
                "random 3-bit flips",
                random_flips_of_three_bits(frame, content, options.three_bit_flips, options.seed),
            ),
        ):
            failures += flips.foreign
            print(
                f"| Frame of {len(frame)} bytes, {name} | {flips.copies:,} | {flips.foreign} accepted that were "
                f"not sent | {flips.survivors} |"
            )
    in_row = all_flips_in_a_row(rng)
    failures += in_row.foreign
    print(
        f"| Frame of 48 bytes in a row of {ROW_FRAMES}, all 1- and 2-bit flips | {in_row.copies:,} | {in_row.foreign} "
        f"accepted that were not sent, or neighbours lost | {in_row.survivors} |"
    )
    seeds = range(options.seed, options.seed + 20)
    failed = sum(not connects_behind_noise(seed) for seed in seeds)
    failures += failed
    print(
        f"| 64 KiB of noise, then HELLO, both ways | {len(seeds)} seeds | {failed} not connected at the first try | |"
    )
    print(f"\nProcessor time {process_time():.0f} s.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
