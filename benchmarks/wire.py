"""What the wire's codecs cost beside pymavlink, construct, pyubx2 and a bare struct loop.

Run `python benchmarks/wire.py` from the repository, with the extra `benchmarks` installed. All run in one process on
one thread, in turns, round after round; times are thread CPU time, medians over the rounds, and each ratio is the
median of the ratios within a round. Every loop that decodes reads every field of every message it gets.
"""

from __future__ import annotations

import argparse
import random
import statistics
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from cobs.cobs import decode as cobs_decode
from wire_peers import mavlink_dialect, mavlink_messages, read_construct, read_mavlink, read_ubx

from protocol import StreamDecoder, Telemetry, decode_batch, encode
from protocol.registry import DEFINITIONS
from protocol.wire import HEADER

STREAM_BYTES = 256 * 1024
PEER_FRAMES = 500  # per round, of a peer that takes microseconds a frame
SLOW_PEER_FRAMES = 50
ROUNDS = 200
WARM_UP_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Work:
    """Something to time: `run` goes through `frames` frames."""

    name: str
    frames: int
    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a ratio, `of` divided by `by`, must be; without bounds it is shown alone. Both are names of works."""

    of: str
    by: str
    at_least: float = 0.0
    at_most: float = float("inf")

    @property
    def is_wanted(self) -> bool:
        """Whether there is a bound at all."""
        return self.at_least > 0 or self.at_most < float("inf")

    def holds(self, ratio: float) -> bool:
        """Whether the ratio is within."""
        return self.at_least <= ratio <= self.at_most

    def __str__(self) -> str:
        if self.at_least:
            return f"≥ {self.at_least:g}"
        return f"≤ {self.at_most:g}" if self.is_wanted else "—"


def telemetry_messages(count: int, seed: int) -> list[Telemetry]:
    """Samples of a running pump with noisy temperature and battery."""
    rng = random.Random(seed)
    return [
        Telemetry(
            mode=1,
            overflow=0,
            sequence=number,
            device_time_us=10**9 + 100_000 * number,
            steps=77_777 + 5 * number,
            rate_ul_per_h=rng.uniform(1.0, 500.0),
            head_temperature_c=rng.uniform(20.0, 38.0),
            battery_mv=rng.randrange(2900, 3100),
            alarms=0,
        )
        for number in range(count)
    ]


def read_ours(stream: bytes, chunk_bytes: int) -> Callable[[], int]:
    """Typed messages from a stream in chunks."""
    chunks = [stream[start : start + chunk_bytes] for start in range(0, len(stream), chunk_bytes)]

    def run() -> int:
        feed = StreamDecoder().feed
        count = 0
        for chunk in chunks:
            frames = feed(chunk)
            count += len(frames)
            for frame in frames:
                read = frame.message
                _ = read.mode
                _ = read.overflow
                _ = read.sequence
                _ = read.device_time_us
                _ = read.steps
                _ = read.rate_ul_per_h
                _ = read.head_temperature_c
                _ = read.battery_mv
                _ = read.alarms
        return count

    return run


def bare_loop(contents: bytes) -> Callable[[], None]:
    """The least that Python can do: every value of every frame, each found, checked and freed of COBS by others.

    `contents` are the frames from header to CRC, one behind the other.
    """
    layout = struct.Struct(HEADER.format + DEFINITIONS[Telemetry.TYPE].codec.head.format[1:] + "I")
    unpack_from, frame_bytes = layout.unpack_from, layout.size

    def run() -> None:
        for offset in range(0, len(contents), frame_bytes):
            _version, _type, _seq, _length, _mode, _overflow, _sequence, _device_time_us, _steps, _rate, _temperature, \
                _battery, _alarms, _crc = unpack_from(contents, offset)  # fmt: skip

    return run


def payload_loop(payloads: list[bytes]) -> Callable[[], None]:
    """Less than a decoder is asked for: unpack each payload, already cut out, and drop the result."""
    unpack_from = DEFINITIONS[Telemetry.TYPE].codec.head.unpack_from

    def run() -> None:
        for payload in payloads:
            unpack_from(payload)

    return run


def cpu_time_ns(work: Work) -> float:
    """Thread CPU time per frame."""
    start = time.thread_time_ns()
    work.run()
    return (time.thread_time_ns() - start) / work.frames


def compare(works: list[Work], rounds: int) -> dict[str, list[float]]:
    """Nanoseconds per frame of each work, a figure for every round; the works take turns."""
    times: dict[str, list[float]] = {work.name: [] for work in works}
    for _ in range(WARM_UP_ROUNDS + rounds):
        for work in works:
            times[work.name].append(cpu_time_ns(work))
    return {name: measured[WARM_UP_ROUNDS:] for name, measured in times.items()}


def groups() -> list[tuple[list[Work], list[Demand]]]:
    """What is compared with what."""
    frame_bytes = len(encode(telemetry_messages(1, 1)[0]))
    messages = telemetry_messages(STREAM_BYTES // frame_bytes, seed=1)
    stream = b"".join(encode(message) for message in messages)
    payloads = [frame.payload for frame in StreamDecoder().feed(stream)]
    contents = b"".join(cobs_decode(run) for run in stream.split(b"\0") if run)
    dialect = mavlink_dialect()
    mavlink = mavlink_messages(dialect, messages[:PEER_FRAMES])
    link = dialect.MAVLink(None, srcSystem=1, srcComponent=1)
    mavlink_stream = b"".join(message.pack(link) for message in mavlink)
    count = len(messages)

    def encode_all() -> None:
        for message in messages:
            encode(message, seq=1)

    def pack_all() -> None:
        for message in mavlink:
            message.pack(link)

    chunks_4k = Work("StreamDecoder, chunks of 4 KiB", count, read_ours(stream, 4096))
    chunks_64 = Work("StreamDecoder, chunks of 64 B", count, read_ours(stream, 64))
    bare = Work("bare `unpack_from` loop over frames", count, bare_loop(contents))
    payloads_alone = Work("`unpack_from` loop over payloads, dropped", count, payload_loop(payloads))
    parse_buffer = Work("pymavlink `parse_buffer`, chunks of 4 KiB", PEER_FRAMES,
                        read_mavlink(dialect, mavlink_stream, 4096))  # fmt: skip
    interpreted = Work(
        "construct, whole frame", SLOW_PEER_FRAMES, read_construct(stream[: SLOW_PEER_FRAMES * frame_bytes])
    )
    ubx = Work("pyubx2 `UBXReader`, NAV-PVT", SLOW_PEER_FRAMES, read_ubx(SLOW_PEER_FRAMES))
    batch = Work("`decode_batch`, 256 KiB", count, lambda: decode_batch(stream))
    ours_out = Work("`encode`", count, encode_all)
    mavlink_out = Work("pymavlink `pack`", PEER_FRAMES, pack_all)
    for work in (chunks_4k, chunks_64, parse_buffer, interpreted, ubx):
        if work.run() != work.frames:
            raise AssertionError(f"{work.name}: not {work.frames} frames")
    if len(decode_batch(stream)[Telemetry.TYPE]) != count:
        raise AssertionError(f"decode_batch: not {count} frames")
    return [
        (
            [chunks_4k, bare, payloads_alone, chunks_64, parse_buffer, interpreted, ubx],
            [
                Demand(parse_buffer.name, chunks_4k.name, at_least=10),
                Demand(interpreted.name, chunks_4k.name, at_least=60),
                Demand(ubx.name, chunks_4k.name, at_least=100),
                Demand(chunks_4k.name, bare.name, at_most=2.5),
                Demand(chunks_4k.name, payloads_alone.name),
                Demand(chunks_64.name, chunks_4k.name, at_most=1.7),
            ],
        ),
        (
            [batch, bare, payloads_alone, parse_buffer],
            [
                Demand(parse_buffer.name, batch.name, at_least=25),
                Demand(batch.name, payloads_alone.name, at_most=1.0),
                Demand(batch.name, bare.name),
            ],
        ),
        ([ours_out, mavlink_out], [Demand(mavlink_out.name, ours_out.name, at_least=3.5)]),
    ]


def main() -> int:
    """Print two tables for each group: times, and ratios with what they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    if rounds < 1:
        parser.error("--rounds must be at least 1")
    missed = 0
    for works, demands in groups():
        times = compare(works, rounds)
        print("| What | ns per frame |\n|---|---:|")
        for name, measured in times.items():
            print(f"| {name} | {statistics.median(measured):,.0f} |")
        print("\n| Ratio | Measured | Wanted | |\n|---|---:|---:|---|")
        for demand in demands:
            pairs = zip(times[demand.of], times[demand.by], strict=True)
            ratio = statistics.median(of / by for of, by in pairs)
            missed += not demand.holds(ratio)
            verdict = ("met" if demand.holds(ratio) else "**missed**") if demand.is_wanted else ""
            print(f"| {demand.of} / {demand.by} | {ratio:.2f} | {demand} | {verdict} |")
        print(flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
