"""Where an unmodified host program finds the pump while its wire is recorded: a TCP port for one client, and a pty."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

try:
    import pty
    import termios
    import tty
except ImportError:
    HAVE_PTYS = False
else:
    HAVE_PTYS = True

LOOPBACK = ("127.0.0.1", "localhost")
CHUNK_BYTES = 65_536
MOST_WAITING_BYTES = 1 << 20
UNREAD_S = 1.0


class HostSideError(OSError):
    """A TCP port, pty or link could not be had; the message says which and what to do."""


class HostSide(Protocol):
    """One place where a host can be: file descriptors to wait for, bytes from it, and bytes to it that never block."""

    @property
    def name(self) -> str:
        """What a host program opens."""
        ...

    @property
    def dropped_bytes(self) -> int:
        """Bytes for a host that did not read them in time."""
        ...

    def waits_to_read(self) -> list[int]: ...

    def waits_to_write(self) -> list[int]: ...

    def receive(self) -> bytes: ...

    def send(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class TcpHostSide:
    """A TCP port of this machine; one host at a time, a second one is turned away. `on_event` hears of their comings.

    Raises:
        HostSideError: the port cannot be had, or the address is not this machine's own.
    """

    def __init__(self, url: str, on_event: Callable[[str], None]) -> None:
        parts = urlsplit(url)
        try:
            number = parts.port
        except ValueError:
            number = None
        if parts.hostname not in LOOPBACK or number is None:
            raise HostSideError(
                f"{url}: write socket://127.0.0.1:PORT, 0 for a free port; a pump's wire is offered on this machine "
                "alone, for others use a tunnel such as ssh -L"
            )
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((LOOPBACK[0], number))
            self._socket.listen(1)
        except OSError as error:
            self._socket.close()
            raise HostSideError(f"{url}: this TCP port cannot be had: {error.strerror}; give another one") from error
        self._socket.setblocking(False)
        self.name = f"socket://{LOOPBACK[0]}:{self._socket.getsockname()[1]}"
        self.dropped_bytes = 0
        self._on_event = on_event
        self._client: socket.socket | None = None
        self._waiting = bytearray()

    def waits_to_read(self) -> list[int]:
        return [each.fileno() for each in (self._socket, self._client) if each is not None]

    def waits_to_write(self) -> list[int]:
        return [self._client.fileno()] if self._client is not None and self._waiting else []

    def receive(self) -> bytes:
        """What the host has sent; lets in one that knocks, and go one that has hung up."""
        data = self._heard()
        with contextlib.suppress(OSError):
            knocking, _ = self._socket.accept()
            if self._client is not None:
                knocking.close()
                self._on_event(f"a second host at {self.name} was turned away: one is connected")
            else:
                knocking.setblocking(False)
                knocking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._client = knocking
                self._on_event(f"a host connected to {self.name}")
        return data

    def send(self, data: bytes) -> None:
        """Give bytes to the host, if there is one; beyond a megabyte that it does not read they are dropped."""
        if self._client is None:
            return
        room = MOST_WAITING_BYTES - len(self._waiting)
        self._waiting += data[:room]
        self.dropped_bytes += max(0, len(data) - room)
        try:
            while self._waiting:
                del self._waiting[: self._client.send(self._waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._socket.close()

    def _heard(self) -> bytes:
        """All that the host has written."""
        data = b""
        while self._client is not None:
            try:
                more = self._client.recv(CHUNK_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                more = b""
            if not more:
                self._hang_up()
            data += more
            if len(data) >= MOST_WAITING_BYTES:
                break
        return data

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._waiting.clear()
        self._on_event(f"the host at {self.name} hung up")


class PtyHostSide:
    """A pty in raw mode, by its own path, or by a symbolic link that keeps its name.

    Bytes that nobody reads for a second are dropped, as on a serial port that nobody has open.

    Raises:
        HostSideError: the link cannot be had, or this system has no ptys.
    """

    def __init__(self, link: Path | None) -> None:
        if not HAVE_PTYS:
            raise HostSideError(f"{link}: this system has no ptys; listen on socket://127.0.0.1:0")
        if link is not None and os.path.lexists(link):
            raise HostSideError(f"{link}: something of that name is in the way of a link to a pty; give another name")
        self._master, self._slave = pty.openpty()
        self._target = Path(os.ttyname(self._slave))
        self._link = link
        self.name = str(link if link is not None else self._target)
        self.dropped_bytes = 0
        self._waiting = bytearray()
        self._moved_s = time.monotonic()
        self._has_host = False
        try:
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            if link is not None:
                link.symlink_to(self._target)
        except OSError as error:
            self.close()
            raise HostSideError(f"{link}: no link to a pty there: {error.strerror}; give another name") from error

    def waits_to_read(self) -> list[int]:
        return [self._master]

    def waits_to_write(self) -> list[int]:
        if self._waiting and time.monotonic() - self._moved_s > UNREAD_S:
            self._drop(len(self._waiting))
            self._waiting.clear()
            termios.tcflush(self._slave, termios.TCIFLUSH)
        return [self._master] if self._waiting else []

    def receive(self) -> bytes:
        """What hosts have written."""
        try:
            data = os.read(self._master, CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return b""
        self._has_host = self._has_host or bool(data)
        return data

    def send(self, data: bytes) -> None:
        """Give bytes to whoever reads."""
        if data and not self._waiting:
            self._moved_s = time.monotonic()
        room = MOST_WAITING_BYTES - len(self._waiting)
        self._waiting += data[:room]
        self._drop(max(0, len(data) - room))
        with contextlib.suppress(BlockingIOError):
            while self._waiting:
                del self._waiting[: os.write(self._master, self._waiting)]
                self._moved_s = time.monotonic()

    def close(self) -> None:
        """Close the pty, and remove the link unless it is another's by now."""
        if self._link is not None:
            with contextlib.suppress(OSError):
                if self._link.readlink() == self._target:
                    self._link.unlink()
        os.close(self._master)
        os.close(self._slave)

    def _drop(self, size: int) -> None:
        """Count what is lost, unless no host was ever heard here."""
        self.dropped_bytes += size if self._has_host else 0


def open_host_side(where: str, on_event: Callable[[str], None]) -> HostSide:
    """`socket://127.0.0.1:PORT` (0 for a free one), `pty` for a new pty, or the path of a link to one.

    Raises:
        HostSideError: it cannot be had.
    """
    if "://" in where:
        return TcpHostSide(where, on_event)
    return PtyHostSide(None if where == "pty" else Path(where))
