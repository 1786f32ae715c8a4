"""What `Pump.status()` costs over a pty, beside a bare pyserial write and read of the same bytes.

Run `python benchmarks/status_over_pty.py` from the repository, on Linux or macOS. Both talk to one canned peer, a
process of its own that answers every frame with a reply prepared beforehand. Rounds alternate; figures are medians of
the wall-clock time of one exchange, and the ratio is the median of the ratios of neighbouring rounds.
"""

from __future__ import annotations

import multiprocessing
import os
import pty
import statistics
import time
import tty
from collections.abc import Callable

import serial

from driver import Pump
from protocol import SCHEMA_HASH, Hello, Status, StatusRequest, StreamDecoder, encode

ROUNDS = 400
EXCHANGES_PER_ROUND = 10
WARM_UP_ROUNDS = 20
LAST_SEQ = 0xFFFF


def canned_replies() -> dict[int, dict[int, bytes]]:
    """For each request type, the reply to each seq that is used here."""
    hello = Hello(1, 0, SCHEMA_HASH, 0, 512, 1, 0, "canned", "CANNED-1", "1.0")
    status = Status(1, 1, 0, 0, 0.0, 0, 0.0, 20_000.0, 2900, 37.0, 10.0, 0, 0)
    used = range(1, 2 + (ROUNDS + WARM_UP_ROUNDS) * 2 * EXCHANGES_PER_ROUND)
    return {
        0x01: {seq: encode(hello, seq=seq) for seq in used},
        StatusRequest.TYPE: {seq: encode(status, seq=seq) for seq in used},
    }


def answer(master: int) -> None:
    """The peer: a reply for each frame, until it is killed."""
    replies, decoder = canned_replies(), StreamDecoder()
    while True:
        for frame in decoder.feed(os.read(master, 4096)):
            if frame.type in replies:
                os.write(master, replies[frame.type][frame.seq])


def exchange_ns(exchange: Callable[[], object]) -> float:
    """Wall-clock time of one exchange, the mean of a round."""
    start = time.perf_counter_ns()
    for _ in range(EXCHANGES_PER_ROUND):
        exchange()
    return (time.perf_counter_ns() - start) / EXCHANGES_PER_ROUND


def main() -> None:
    """Print both medians and the ratio."""
    masters, slaves = zip(*(pty.openpty() for _ in range(2)), strict=True)
    for slave in slaves:
        tty.setraw(slave)
    peers = [multiprocessing.get_context("fork").Process(target=answer, args=(m,), daemon=True) for m in masters]
    for peer in peers:
        peer.start()
    request = encode(StatusRequest(), seq=1)
    reply_bytes = len(canned_replies()[StatusRequest.TYPE][1])
    port = serial.Serial(os.ttyname(slaves[0]), 115_200, timeout=5.0)

    def bare() -> None:
        port.write(request)
        if len(port.read(reply_bytes)) != reply_bytes:
            raise AssertionError("the canned peer did not answer")

    with port, Pump.open(os.ttyname(slaves[1]), observe=True) as pump:
        rounds = [(exchange_ns(pump.status), exchange_ns(bare)) for _ in range(WARM_UP_ROUNDS + ROUNDS)]
    for peer in peers:
        peer.terminate()
    measured = rounds[WARM_UP_ROUNDS:]
    print(f"{ROUNDS} rounds of {EXCHANGES_PER_ROUND} exchanges, {len(request)} bytes out and {reply_bytes} back")
    print(f"Pump.status()        {statistics.median(a for a, _ in measured) / 1000:7.1f} µs")
    print(f"bare pyserial        {statistics.median(b for _, b in measured) / 1000:7.1f} µs")
    print(f"ratio                {statistics.median(a / b for a, b in measured):7.2f}")


if __name__ == "__main__":
    main()
