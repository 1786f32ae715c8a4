"""Records what a tap hears into a pcapng file, in a thread of its own, so that a slow disk never holds bytes back."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from bench.wire.pcapng import NS_PER_S, CaptureWriter, Packet
from bench.wire.runs import RunCutter
from driver.clock import Clock, SystemClock
from driver.transport.tapped import Direction

QUIET_S = 1.0
QUIET_NS = round(QUIET_S * NS_PER_S)
SYNC_EVERY_S = 1.0
CLOSING_S = 10.0
STDOUT = "-"
COMMENT = (
    "Bytes between host and pump as they crossed. A packet is one run of bytes, cut behind the zero that closes it; "
    "its time is that of its last byte. All packets of a direction together are the stream."
)

_Chunk = tuple[Direction, int, bytes]


class Stamps:
    """Wall time as a label: taken once, then advanced by a monotonic clock."""

    def __init__(self, clock: Clock | None = None, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._start_ns, self._start_s = wall_ns(), self._clock.monotonic()

    def now_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return self._start_ns + round((self._clock.monotonic() - self._start_s) * NS_PER_S)


class WireRecorder:
    """A context manager whose `tap` fits `driver.transport.tapped.Tapped`; give `-` as path for standard output.

    Wall time is taken once and advanced by `clock`. `tap` may be called from any thread, takes about a microsecond and
    never raises. What a run of bytes lacks to its end is waited for until the line is quiet for a second, then it is
    written as it is. Where the file takes no more, `failure` says why, `on_failure` is told once, and `tap` goes on.
    `on_packet` is told of each packet after it was written. Both are called in the recorder's thread.

    Raises:
        FileExistsError: there is such a file; a recording is never overwritten.
        OSError: the file cannot be written.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        port: str,
        clock: Clock | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
        on_packet: Callable[[Packet], None] | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        self.path = str(path)
        self.failure: str | None = None
        self.packets = 0
        self.bytes = dict.fromkeys(Direction, 0)
        self._stamps = Stamps(clock, wall_ns)
        self._on_packet = on_packet
        self._on_failure = on_failure
        self._file = _open(path)
        try:
            self._writer = CaptureWriter(
                self._file, port=port, application=_application(), system=platform.platform(), comment=COMMENT
            )
        except OSError:
            self._file.close()
            raise
        self._cutters = {direction: RunCutter() for direction in Direction}
        self._heard_ns = dict.fromkeys(Direction, 0)
        self._chunks: queue.SimpleQueue[_Chunk | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._record, name=f"recorder of {port}", daemon=True)
        self._ended = False
        self._thread.start()

    def __enter__(self) -> WireRecorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.close("ended" if error is None else f"ended by {type(error).__name__}: {error}")

    def tap(self, direction: Direction, data: bytes) -> None:
        """Take in a chunk, with the time of now."""
        self._chunks.put((direction, self._stamps.now_ns(), data))

    def close(self, reason: str = "ended", *, dropped_bytes: int = 0) -> None:
        """Write all that was heard, and why it ended; a second call does nothing."""
        if self._ended:
            return
        self._ended = True
        self._chunks.put(None)
        self._thread.join(CLOSING_S)
        if self._thread.is_alive():
            self._fail(f"the disk did not take all of it within {CLOSING_S:g} s")
            return
        with self._failures_kept():
            if self.failure is None:
                self._writer.end(reason, self._stamps.now_ns(), dropped_bytes)
        with self._failures_kept():
            self._file.close()

    def _record(self) -> None:
        """The thread: chunks to packets, with a look at the clock whenever nothing comes."""
        synced_s = time.monotonic()
        unsynced = False
        while True:
            try:
                chunk = self._chunks.get(timeout=QUIET_S)
            except queue.Empty:
                self._write_open(self._stamps.now_ns() - QUIET_NS)
            else:
                if chunk is None:
                    self._write_open(None)
                    return
                direction, time_ns, data = chunk
                self.bytes[direction] += len(data)
                self._heard_ns[direction] = time_ns
                for run in self._cutters[direction].feed(data):
                    self._write(time_ns, direction, run)
                self._write_open(time_ns - QUIET_NS)
                unsynced = True
            if unsynced and time.monotonic() - synced_s >= SYNC_EVERY_S:
                synced_s, unsynced = time.monotonic(), False
                if self.failure is None:
                    with self._failures_kept():
                        self._writer.sync()

    def _write_open(self, quiet_since_ns: int | None) -> None:
        """Write what waits for its zero since before an instant; all of it for None."""
        for direction, cutter in self._cutters.items():
            heard_ns = self._heard_ns[direction]
            if cutter.open_bytes and (quiet_since_ns is None or heard_ns <= quiet_since_ns):
                self._write(heard_ns, direction, cutter.take_open())

    def _write(self, time_ns: int, direction: Direction, data: bytes) -> None:
        packet = Packet(time_ns, direction, data, number=self.packets + 1)
        if self.failure is None:
            with self._failures_kept():
                self._writer.packet(packet)
                self.packets += 1
        if self._on_packet is not None:
            self._on_packet(packet)

    @contextlib.contextmanager
    def _failures_kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _fail(self, reason: str) -> None:
        if self.failure is None:
            self.failure = f"the recording in {self.path} ended early: {reason}"
            if self._on_failure is not None:
                self._on_failure(self.failure)


def _open(path: Path | str) -> IO[bytes]:
    if str(path) == STDOUT:
        return open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
    return Path(path).open("xb", buffering=0)


def _application() -> str:
    try:
        return f"thecabench {importlib.metadata.version('thecabench')}"
    except importlib.metadata.PackageNotFoundError:
        return "thecabench"
