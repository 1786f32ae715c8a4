"""How long decode_batch takes for 256 KiB of telemetry frames, beside a bare struct loop over the same payloads.

Run `python benchmarks/wire_batch.py` from the repository. Rounds alternate in one process on one thread; times are
thread CPU time, medians, and the ratio is the median of the ratios of neighbouring rounds.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

from protocol import StreamDecoder, Telemetry, decode_batch, encode
from protocol.registry import DEFINITIONS

STREAM_BYTES = 256 * 1024
ROUNDS = 300
WARM_UP_ROUNDS = 20


def telemetry_stream(seed: int) -> bytes:
    """At most 256 KiB of whole telemetry frames: a running pump with noisy temperature and battery."""
    rng = random.Random(seed)
    stream = b""
    number = 0
    while True:
        message = Telemetry(
            stream=1,
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
        frame = encode(message, seq=number & 0xFFFF)
        if len(stream) + len(frame) > STREAM_BYTES:
            return stream
        stream += frame
        number += 1


def cpu_time_ns(work: Callable[[], object]) -> int:
    """Thread CPU time of one call."""
    start = time.thread_time_ns()
    work()
    return time.thread_time_ns() - start


def main() -> None:
    """Print a table: nanoseconds per frame of both, and their ratio."""
    stream = telemetry_stream(seed=1)
    payloads = [frame.payload for frame in StreamDecoder().feed(stream)]
    unpack_from = DEFINITIONS[Telemetry.TYPE].codec.head.unpack_from

    def bare() -> None:
        for payload in payloads:
            unpack_from(payload)

    if len(decode_batch(stream)[Telemetry.TYPE]) != len(payloads):
        raise AssertionError("decode_batch and StreamDecoder found different numbers of frames")
    rounds = [(cpu_time_ns(lambda: decode_batch(stream)), cpu_time_ns(bare)) for _ in range(WARM_UP_ROUNDS + ROUNDS)]
    measured = rounds[WARM_UP_ROUNDS:]
    batch_ns = statistics.median(batch for batch, _ in measured) / len(payloads)
    bare_ns = statistics.median(loop for _, loop in measured) / len(payloads)
    ratio = statistics.median(batch / loop for batch, loop in measured)
    print(f"{len(payloads)} frames, {len(stream)} bytes, {ROUNDS} rounds")
    print(f"decode_batch            {batch_ns:7.1f} ns/frame")
    print(f"bare unpack_from loop   {bare_ns:7.1f} ns/frame")
    print(f"ratio                   {ratio:7.2f}")


if __name__ == "__main__":
    main()
