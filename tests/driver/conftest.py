"""A clock that tests turn by hand, a disk that fails on demand, and real ports of each kind with both ends in hand."""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from driver import PortLost, open_transport
from driver.file_lock import LockHeld
from driver.transport import UsbTransport

NS_PER_S = 1_000_000_000
POLL_NS = 100_000
PATIENCE_S = 5.0
CHUNK_BYTES = 65_536


class HandClock:
    """Virtual time in whole nanoseconds, rounded up; whatever is due happens while someone sleeps or waits."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def monotonic(self) -> float:
        return self.now_ns / NS_PER_S

    def sleep(self, seconds: float) -> None:
        self._run(ceil(seconds * NS_PER_S), lambda: False)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_ns + round(seconds * NS_PER_S), next(self._order), action))

    def wait(self, seconds: float, until: Callable[[], bool]) -> None:
        """As a port waits: even a poll takes 100 µs."""
        self._run(max(round(seconds * NS_PER_S), POLL_NS), until)

    def _run(self, length_ns: int, until: Callable[[], bool]) -> None:
        end_ns = self.now_ns + length_ns
        while not until():
            if not self._due or self._due[0][0] > end_ns:
                self.now_ns = end_ns
                return
            due_ns, _, action = heapq.heappop(self._due)
            self.now_ns = max(self.now_ns, due_ns)
            action()


class Disk:
    """Files in memory; `room` bytes are left on it. A write that does not fit leaves what fitted, as real disks do.

    A `broken` one takes no byte.
    """

    def __init__(self) -> None:
        self.files: dict[Path, bytes] = {}
        self.room: int | None = None
        self.broken = False
        self.log: list[str] = []
        self.holders: dict[Path, str] = {}

    def exists(self, path: Path) -> bool:
        return path in self.files

    def read(self, path: Path) -> bytes:
        return self.files[path]

    def write_and_sync(self, path: Path, offset: int, data: bytes) -> None:
        before = self.files.get(path, b"")
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")
        assert offset <= len(before), "a write beyond the end leaves a hole"
        growth = max(0, offset + len(data) - len(before))
        left = growth if self.room is None else min(growth, self.room)
        fits = data[: len(data) - growth + left]
        self.files[path] = before[:offset] + fits + before[offset + len(fits) :]
        if self.room is not None:
            self.room -= left
        if fits != data:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.log.append(f"disk {data.decode().strip() or 'room'}")

    def lock(self, path: Path, holder: str) -> DiskLock:
        if path in self.holders:
            raise LockHeld(self.holders[path])
        self.holders[path] = holder
        return DiskLock(self, path, holder)

    def kill(self) -> None:
        """The process that wrote here was killed: the system takes its locks back."""
        self.holders.clear()


@dataclass
class DiskLock:
    """A lock on one of its files."""

    disk: Disk
    path: Path
    holder: str

    def release(self) -> None:
        if self.disk.holders.get(self.path) is self.holder:
            del self.disk.holders[self.path]


@dataclass
class RealPort:
    """A port opened by the driver, and its device's end: `take` gives what arrived there, `send` answers, `pull` ends
    the connection from there.
    """

    transport: Any
    take: Callable[[float], bytes]
    send: Callable[[bytes], object]
    pull: Callable[[], object]


@contextlib.contextmanager
def pty_port() -> Iterator[RealPort]:
    pty = pytest.importorskip("pty", reason="ptys are a Unix thing")
    import tty

    master, slave = pty.openpty()
    tty.setraw(slave)
    transport = open_transport(os.ttyname(slave))
    os.close(slave)
    device = os.fdopen(master, "r+b", buffering=0)

    def take(timeout_s: float) -> bytes:
        ready, _, _ = select.select([master], [], [], timeout_s)
        return os.read(master, CHUNK_BYTES) if ready else b""

    with device:
        yield RealPort(transport, take, device.write, device.close)
        device.close()
        transport.close()


@contextlib.contextmanager
def tcp_port() -> Iterator[RealPort]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        transport = open_transport("socket://{}:{}".format(*listening.getsockname()))
        device, _ = listening.accept()
    device.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def take(timeout_s: float) -> bytes:
        device.settimeout(timeout_s)
        with contextlib.suppress(TimeoutError):
            return device.recv(CHUNK_BYTES)
        return b""

    with device:
        yield RealPort(transport, take, device.sendall, device.close)
        transport.close()


@contextlib.contextmanager
def usb_port() -> Iterator[RealPort]:
    pytest.importorskip("usb.core", reason="pyusb is not installed")
    from firmware_mock.usb import UsbBackend
    from firmware_mock.usb_device import UsbDevice

    bus, device = UsbBackend(), UsbDevice("HAND-1")
    bus.plug(device)
    transport = UsbTransport("usb:1209:0001:HAND-1", backend=bus)
    yield RealPort(transport, device.receive, device.send, lambda: bus.unplug(device))
    bus.unplug(device)
    transport.close()


PORTS = {"pty": pty_port, "tcp": tcp_port, "usb": usb_port}


class InProcess:
    """A carrier of bytes that is no port at all: what goes in comes out."""

    def __init__(self) -> None:
        self._arrived = bytearray()
        self._pulled = False

    @property
    def in_waiting(self) -> int:
        self._check()
        return len(self._arrived)

    def to_device(self, data: bytes) -> bytes:
        """Carry what the host writes; gives what the device gets of it."""
        if self._pulled:
            raise OSError("unplugged")
        return data

    def to_host(self, data: bytes) -> None:
        """Carry what the device sends; nothing once the carrier was pulled."""
        if not self._pulled:
            self._arrived += data

    def take(self) -> bytes:
        """What has arrived at the host."""
        self._check()
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    def pull(self) -> None:
        """End the connection; what has arrived can still be taken."""
        self._pulled = True

    def _check(self) -> None:
        if self._pulled and not self._arrived:
            raise OSError("unplugged")


class ThroughPort:
    """A carrier that sends each byte through a real port and fetches it at the other end before it goes on.

    Losing the port is the real transport's finding, told in the words of the carrier that is no port.
    """

    def __init__(self, port: RealPort) -> None:
        self._port = port
        self._arrived = bytearray()
        self._pulled = False

    @property
    def in_waiting(self) -> int:
        with self._words():
            return len(self._arrived) or self._port.transport.in_waiting

    def to_device(self, data: bytes) -> bytes:
        with self._words():
            self._port.transport.write(data)
        return fetched(self._port.take, len(data))

    def to_host(self, data: bytes) -> None:
        if not self._pulled:
            self._port.send(data)
            self._arrived += fetched(self._port.transport.read, len(data))

    def take(self) -> bytes:
        with self._words():
            data = bytes(self._arrived) or self._port.transport.read(0.0)
        self._arrived.clear()
        return data

    def pull(self) -> None:
        if not self._pulled:
            self._pulled = True
            self._port.pull()
            with pytest.raises(PortLost, match="the connection is gone"):
                self._port.transport.read(PATIENCE_S)

    @contextlib.contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except PortLost as error:
            if not self._pulled:
                pytest.fail(f"lost without anybody pulling: {error}")
            raise OSError("unplugged") from error


def fetched(read: Callable[[float], bytes], size: int) -> bytes:
    """Exactly so many bytes from a reading end.

    Raises:
        AssertionError: they did not come within 5 s, or more came.
    """
    data = b""
    deadline_s = time.monotonic() + PATIENCE_S
    while len(data) < size and (chunk := read(max(0.0, deadline_s - time.monotonic()))):
        data += chunk
    assert len(data) == size, f"{len(data)} of {size} bytes came through within {PATIENCE_S} s"
    return data


@pytest.fixture(params=["bytes", *(pytest.param(kind, marks=pytest.mark.real_port) for kind in PORTS)])
def carrier(request: pytest.FixtureRequest) -> Iterator[Any]:
    """What carries bytes between the driver and a hand-made device: nothing, or a real port of each kind."""
    if request.param == "bytes":
        yield InProcess()
        return
    with PORTS[request.param]() as port:
        yield ThroughPort(port)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def disk() -> Disk:
    return Disk()
