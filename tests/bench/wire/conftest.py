"""Recordings for the tests of the wire: a clock that is set by hand, and files recorded through the real recorder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from bench.wire.pcapng import CaptureReader, Packet
from bench.wire.recorder import WireRecorder
from driver.transport.tapped import Direction

WALL_NS = 1_795_000_000_123_456_789
START_S = 1000.0
Chunk = tuple[float, Direction, bytes]


class HandClock:
    """Seconds that pass when a test says so."""

    now_s = START_S

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Recordings:
    """Writes and reads recordings that begin at `wall_ns`."""

    wall_ns = WALL_NS

    def write(self, path: Path, chunks: Iterable[Chunk]) -> Path:
        """Record chunks, each at its second after the beginning."""
        clock = HandClock()
        with WireRecorder(path, port="/dev/ttyPUMP", clock=clock, wall_ns=lambda: WALL_NS) as recorder:
            for at_s, direction, data in chunks:
                clock.now_s = START_S + at_s
                recorder.tap(direction, data)
        assert recorder.failure is None
        return path

    def read(self, path: Path) -> list[Packet]:
        with path.open("rb") as file:
            return list(CaptureReader(file, path.name))

    def stream(self, packets: Iterable[Packet], direction: Direction) -> bytes:
        return b"".join(packet.data for packet in packets if packet.direction is direction)


@pytest.fixture(scope="session")
def recordings() -> Recordings:
    return Recordings()
