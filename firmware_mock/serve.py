"""The station in real time × speed: a loop that follows the wall clock and moves bytes between ports and endpoints."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from firmware_mock.endpoints import CHUNK_BYTES, HAVE_PTYS, PtyEndpoint, TcpClient, TcpListener
from firmware_mock.ports import Port, PortUnplugged
from firmware_mock.station import Station
from firmware_mock.usb_device import UsbDevice
from firmware_mock.world import NS_PER_S

LONGEST_WAIT_S = 0.5
LONGEST_COMPUTING_S = 0.02
REPORTED_LAG_S = 1.0


class _Served:
    """One port and where it can be reached."""

    def __init__(self, port: Port, listener: TcpListener, usb: UsbDevice | None) -> None:
        self.port = port
        self.listener = listener
        self.usb = usb
        self.pty: PtyEndpoint | None = None
        self.client: TcpClient | None = None


class Server:
    """Offers a station's ports on ptys (links in a directory) and on TCP ports from `tcp_base` on; 0 takes free ones.

    A port named in `usb` is offered on that USB device too, which whoever owns the bus plugs in and unplugs.

    A context manager; `run` returns after `stop`, which any thread or signal handler may call. The world's time stands
    still while nobody runs it. With too much to compute it falls behind the wall clock: `on_lag` is told, once,
    by how many seconds.

    Raises:
        EndpointError: a link or TCP port cannot be had.
    """

    def __init__(
        self,
        station: Station,
        *,
        speed: float,
        links: Path,
        tcp_base: int,
        on_lag: Callable[[float], None],
        usb: Mapping[str, UsbDevice] | None = None,
    ) -> None:
        self._world = station.world
        self._world.served_speed = speed
        self._ns_per_wall_s = speed * NS_PER_S
        self._selector = selectors.SelectSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_writer.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, self._take_from_usb)
        self._stopped = False
        self._served: dict[str, _Served] = {}
        self._on_lag: Callable[[float], None] | None = on_lag
        self._behind_ns = 0
        try:
            for number, (name, port) in enumerate(station.ports.items()):
                device = usb.get(name) if usb is not None else None
                self._open(_Served(port, TcpListener(tcp_base + number if tcp_base else 0), device), name, links / name)
        except BaseException:
            self.close()
            raise

    @property
    def names(self) -> dict[str, list[str]]:
        """For each port the paths and addresses that a host can open."""
        return {
            name: [endpoint.name for endpoint in (served.pty, served.listener) if endpoint is not None]
            for name, served in self._served.items()
        }

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self) -> None:
        """Serve until `stop`. Whoever knocks is seen to last, and finds a port as earlier clients have left it."""
        began_s, began_ns = time.monotonic(), self._world.now_ns
        while not self._stopped:
            ready = self._selector.select(self._wait_s(began_s, began_ns))
            self._follow_wall_clock(began_s, began_ns)
            for key, _ in sorted(ready, key=lambda item: isinstance(item[0].fileobj, TcpListener)):
                key.data()
            self._give_to_hosts()
            if not ready:
                self._unsettle_ptys()

    def stop(self) -> None:
        """Have `run` return."""
        self._stopped = True
        self._wake()

    def close(self) -> None:
        """Close all endpoints and remove the links."""
        for served in self._served.values():
            for endpoint in (served.client, served.listener, served.pty):
                if endpoint is not None:
                    endpoint.close()
        self._served.clear()
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _open(self, served: _Served, name: str, link: Path) -> None:
        self._served[name] = served
        if served.usb is not None:
            served.usb.on_host_activity = self._wake
        self._selector.register(served.listener, selectors.EVENT_READ, partial(self._accept, served))
        if HAVE_PTYS:
            served.pty = PtyEndpoint(link)
            self._selector.register(served.pty, selectors.EVENT_READ, partial(self._take, served, served.pty))

    def _wait_s(self, began_s: float, began_ns: int) -> float:
        """How long nothing is due, in wall seconds."""
        due_ns = self._world.next_event_ns()
        if self._behind_ns > 0:
            return 0.0
        if due_ns is None:
            return LONGEST_WAIT_S
        wait_s = began_s + (due_ns - began_ns) / self._ns_per_wall_s - time.monotonic()
        return min(max(wait_s, 0.0), LONGEST_WAIT_S)

    def _follow_wall_clock(self, began_s: float, began_ns: int) -> None:
        """Bring the world to now, or as near as a short while of computing gets it: hosts are never kept waiting."""
        now_s = time.monotonic()
        wall_ns = began_ns + round((now_s - began_s) * self._ns_per_wall_s)
        self._world.run_until(wall_ns, until=lambda: time.monotonic() - now_s > LONGEST_COMPUTING_S)
        self._behind_ns = wall_ns - self._world.now_ns
        lag_s = self._behind_ns / self._ns_per_wall_s
        if lag_s > REPORTED_LAG_S and self._on_lag is not None:
            self._on_lag(lag_s)
            self._on_lag = None

    def _accept(self, served: _Served) -> None:
        client = served.listener.accept()
        if client is None:
            return
        self._hear_out(served)
        if served.client is not None or not served.port.plugged:
            client.close()
            return
        served.client = client
        self._selector.register(client, selectors.EVENT_READ, partial(self._take, served, client))

    def _hear_out(self, served: _Served) -> None:
        """Take all that the present client has written; one that hung up before the next one knocked is let go."""
        if served.client is not None:
            while self._take(served, served.client):
                pass
            if served.client.gone:
                self._let_go(served, served.client)

    def _let_go(self, served: _Served, client: TcpClient) -> None:
        self._selector.unregister(client)
        client.close()
        served.client = None

    def _take(self, served: _Served, endpoint: PtyEndpoint | TcpClient) -> bool:
        data = endpoint.receive()
        if data:
            with contextlib.suppress(PortUnplugged):
                served.port.host.write(data)
        return bool(data)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")

    def _take_from_usb(self) -> None:
        self._wake_reader.recv(CHUNK_BYTES)
        for served in self._served.values():
            data = served.usb.receive() if served.usb is not None else b""
            if data:
                with contextlib.suppress(PortUnplugged):
                    served.port.host.write(data)

    def _unsettle_ptys(self) -> None:
        for served in self._served.values():
            if served.pty is not None:
                served.pty.unsettle()

    def _give_to_hosts(self) -> None:
        for served in self._served.values():
            data = served.port.take_arrived() if served.port.waiting_bytes else b""
            if data and served.pty is not None:
                served.pty.send(data)
            if data and served.usb is not None:
                served.usb.send(data)
            if served.client is not None:
                if data:
                    served.client.send(data)
                if served.client.gone or not served.port.plugged:
                    self._let_go(served, served.client)
