"""The man in the middle: passes bytes between a port and the places where a host can be, and sends none of its own."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from collections.abc import Sequence

from bench.wire.host_side import HostSide
from driver.errors import DriverError
from driver.transport.base import Transport

LONGEST_WAIT_S = 0.25
POLL_S = 0.2


class Proxy:
    """`run` passes bytes on until `stop`, which any thread or signal handler may call.

    What comes from the port goes to every place; bytes from several hosts mix. Transport and places stay the caller's.
    """

    def __init__(self, transport: Transport, hosts: Sequence[HostSide]) -> None:
        self._transport = transport
        self._hosts = hosts
        self._arrived: deque[bytes] = deque()
        self._lost: DriverError | None = None
        self._stopping = threading.Event()
        self._wake_reader, self._wake_writer = socket.socketpair()
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)

    def run(self) -> None:
        """
        Raises:
            PortLost: the port is gone; what it sent before was passed on.
        """
        listening = threading.Thread(target=self._listen, name=f"listening to {self._transport.name}", daemon=True)
        listening.start()
        try:
            while not self._stopping.is_set() and self._lost is None:
                self._wait()
                self._pass_on()
            self._pass_on()
            if self._lost is not None:
                raise self._lost
        finally:
            self._stopping.set()
            listening.join()
            self._wake_reader.close()
            self._wake_writer.close()

    def stop(self) -> None:
        """Have `run` return."""
        self._stopping.set()
        self._wake()

    def _wait(self) -> None:
        readable = [fd for host in self._hosts for fd in host.waits_to_read()]
        writable = [fd for host in self._hosts for fd in host.waits_to_write()]
        select.select([self._wake_reader.fileno(), *readable], writable, [], LONGEST_WAIT_S)
        with contextlib.suppress(BlockingIOError):
            while self._wake_reader.recv(4096):
                pass

    def _pass_on(self) -> None:
        arrived = []
        while self._arrived:
            arrived.append(self._arrived.popleft())
        data = b"".join(arrived)
        for host in self._hosts:
            host.send(data)
            if asked := host.receive():
                self._transport.write(asked)

    def _listen(self) -> None:
        try:
            while not self._stopping.is_set():
                if data := self._transport.read(POLL_S):
                    self._arrived.append(data)
                    self._wake()
        except DriverError as error:
            self._lost = error
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")
