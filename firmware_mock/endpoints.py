"""Where a served port can be reached: a pty with a link that keeps its name, and a TCP port for one client."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

try:
    import pty
    import termios
    import tty
except ImportError:
    HAVE_PTYS = False
else:
    HAVE_PTYS = True

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 65_536
_SPEEDS = slice(4, 6)


class EndpointError(OSError):
    """A pty, link or TCP port could not be had; the message says which and what to do."""


class PtyEndpoint:
    """A pty in raw mode behind a symbolic link. The slave stays open here, so hosts may come and go.

    Linux ptys take neither parity nor 7 data bits: setting them fails (EINVAL) unless something else changes with them,
    which for a second host that sets the same speed it does not. `unsettle` therefore puts the speed elsewhere.
    """

    def __init__(self, link: Path) -> None:
        if link.exists() and not link.is_symlink():
            raise EndpointError(f"{link} is in the way of a link to a pty: remove it, or name another directory")
        self._link = link
        self._master, self._slave = pty.openpty()
        self._target = Path(os.ttyname(self._slave))
        try:
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self.unsettle()
            link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(self._target)
        except OSError as error:
            self.close()
            raise EndpointError(f"no link to a pty at {link}: {error.strerror}; name another directory") from error
        self.name = str(link)

    def fileno(self) -> int:
        return self._master

    def unsettle(self) -> None:
        """Set a line speed that no host uses; bytes pass a pty at any speed."""
        attributes = termios.tcgetattr(self._slave)
        if attributes[_SPEEDS] != [termios.B50, termios.B50]:
            attributes[_SPEEDS] = [termios.B50, termios.B50]
            termios.tcsetattr(self._slave, termios.TCSANOW, attributes)

    def receive(self) -> bytes:
        """What hosts have written; empty where there is nothing after all."""
        try:
            return os.read(self._master, CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return b""

    def send(self, data: bytes) -> None:
        """Give bytes to whoever reads; what a full buffer cannot take is lost, as on a serial port nobody reads."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)

    def close(self) -> None:
        """Close the pty, and remove the link unless it is another's by now."""
        with contextlib.suppress(OSError):
            if self._link.readlink() == self._target:
                self._link.unlink()
        os.close(self._master)
        os.close(self._slave)


class TcpListener:
    """A TCP port on the loopback address."""

    def __init__(self, number: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((LOOPBACK, number))
            self._socket.listen(1)
        except OSError as error:
            self._socket.close()
            raise EndpointError(
                f"TCP port {number} on {LOOPBACK} cannot be had: {error.strerror}; give another --tcp-base"
            ) from error
        self._socket.setblocking(False)
        self.name = f"socket://{LOOPBACK}:{self._socket.getsockname()[1]}"

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self) -> TcpClient | None:
        """A client that knocks, None when it has gone again."""
        try:
            client, _ = self._socket.accept()
        except OSError:
            return None
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return TcpClient(client)

    def close(self) -> None:
        self._socket.close()


class TcpClient:
    """A connected host."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.gone = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> bytes:
        """What the host has written; sets `gone` when it has hung up."""
        try:
            data = self._socket.recv(CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError:
            data = b""
        self.gone = not data
        return data

    def send(self, data: bytes) -> None:
        """Give bytes to the host; what a full buffer cannot take is lost."""
        try:
            self._socket.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True

    def close(self) -> None:
        self._socket.close()
