"""What StreamDecoder holds on to while a long capture goes through it: a damaged stream, chunk by chunk, never whole.

Run `python benchmarks/long_capture.py` from the repository; it decodes 1 GiB. The frames are let go as they come, as a
recorder does that has written them; what tracemalloc still counts between two chunks is the decoder's.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from protocol import Hello, StreamDecoder, Telemetry, encode

MIB = 1 << 20
LARGEST_CHUNK_BYTES = 8192
MOST_RETAINED_BYTES = MIB
CHUNKS_PER_LOOK = 64


@dataclass(frozen=True, slots=True)
class Retained:
    """What a capture came to. `retained_bytes` is the most that was held at any look."""

    stream_bytes: int
    frames: int
    rejects: int
    retained_bytes: int


def capture(total_bytes: int, seed: int) -> Iterator[bytes]:
    """Chunks of 1 to 8192 bytes, `total_bytes` in all: telemetry, a HELLO now and then, noise, a stretch without zeros.

    The content repeats, at places that differ each time, so that making it costs little.
    """
    rng = random.Random(seed)
    hello = encode(Hello(1, 1, bytes(8), 0, 512, 1, 0, "model", "serial number", "1.0"), seq=1)
    telemetry = [
        encode(Telemetry(1, 0, number, 10**9 + 100_000 * number, 5 * number, 20.0, rng.uniform(30, 38), 3000, 0))
        for number in range(2000)
    ]
    content = b""
    while len(content) < MIB:
        first = rng.randrange(1900)
        content += b"".join(telemetry[first : first + rng.randrange(100)])
        content += rng.choice([hello, rng.randbytes(rng.randrange(600)), telemetry[first][: rng.randrange(48)], b""])
    content += b"\xaa" * 4 * LARGEST_CHUNK_BYTES
    return _cut_at_random(content, total_bytes, rng)


def _cut_at_random(content: bytes, total_bytes: int, rng: random.Random) -> Iterator[bytes]:
    left = total_bytes
    while left:
        start = rng.randrange(len(content))
        chunk = content[start : start + min(left, rng.randint(1, LARGEST_CHUNK_BYTES))]
        left -= len(chunk)
        yield chunk


def decode(chunks: Iterable[bytes]) -> Retained:
    """Decode the chunks under tracemalloc, which must not be running yet."""
    stream_bytes = frames = retained = 0
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        decoder = StreamDecoder()
        for number, chunk in enumerate(chunks):
            frames += len(decoder.feed(chunk))
            stream_bytes += len(chunk)
            if number % CHUNKS_PER_LOOK == 0:
                del chunk
                retained = max(retained, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    return Retained(stream_bytes, frames, decoder.reject_counts.total(), retained)


def main() -> int:
    """Print one line; 1 if the decoder held more than 1 MiB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="length of the capture")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.mib < 1:
        parser.error("--mib must be at least 1")
    start = time.process_time()
    result = decode(capture(options.mib * MIB, options.seed))
    print(
        f"{result.stream_bytes / MIB:,.0f} MiB, {result.frames:,} frames, {result.rejects:,} rejects: the decoder held "
        f"at most {result.retained_bytes / 1024:,.0f} KiB. Processor time {time.process_time() - start:.0f} s."
    )
    return 0 if result.retained_bytes < MOST_RETAINED_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
