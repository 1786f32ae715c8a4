"""`socket://host:port`: a serial device server, or the served mock, over plain TCP.

The URL is pyserial's; the socket is our own, because pyserial's reads one byte per system call, throws away what the
device sent first, and waits 0.3 s on closing.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

from driver.errors import BadPortUrl, PortNotFound
from driver.transport.inbox import Inbox

CONNECT_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 5.0
CHUNK_BYTES = 65_536


class TcpTransport:
    """A TCP connection with a reader thread that only moves bytes into a bounded queue.

    Raises:
        BadPortUrl: the URL has no host or no port number.
        PortNotFound: nothing listens there.
    """

    def __init__(self, url: str) -> None:
        self.name = url
        host, port = _address(url)
        try:
            self._socket = socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S)
        except OSError as error:
            raise PortNotFound(url, f"nothing answers at {host} port {port} ({error}); does it run?") from error
        self._socket.settimeout(WRITE_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reading = self._socket.dup()
        self._reading.settimeout(None)
        self._inbox = Inbox(url)
        self._closed = False
        self._thread = threading.Thread(target=self._move_bytes, name=f"reader of {url}", daemon=True)
        self._thread.start()

    @property
    def in_waiting(self) -> int:
        return self._inbox.in_waiting

    @property
    def dropped_bytes(self) -> int:
        """Bytes lost because nobody read them in time."""
        return self._inbox.dropped_bytes

    def write(self, data: bytes) -> None:
        """Send all bytes.

        Raises:
            PortLost: the other side is gone, or took nothing for 5 s.
        """
        self._inbox.raise_if_lost()
        try:
            self._socket.sendall(data)
        except OSError as error:
            self._inbox.fail(str(error))
            self._inbox.raise_if_lost()

    def read(self, timeout_s: float) -> bytes:
        """All bytes that arrived, waiting for the first of them; empty on time-out.

        Raises:
            PortLost: the other side is gone and nothing that arrived before is left.
        """
        return self._inbox.take(timeout_s)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._inbox.close()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._reading.close()
        self._socket.close()

    def _move_bytes(self) -> None:
        try:
            while data := self._reading.recv(CHUNK_BYTES):
                self._inbox.put(data)
            self._inbox.fail("the other side closed it")
        except OSError as error:
            self._inbox.fail(str(error))


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None:
        raise BadPortUrl(url, "a TCP port is written socket://host:port, with a port number from 1 to 65535")
    return parts.hostname, port
