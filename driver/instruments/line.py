"""Text instruments' common ground: lines out, lines in, each with the process time at which it was complete."""

from __future__ import annotations

from dataclasses import dataclass

from driver.clock import Clock, Deadline
from driver.transport import Transport

READ_SLICE_S = 0.5
LONGEST_LINE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end, and the process time in s at which its last byte had arrived."""

    text: str
    time_s: float


class LineChannel:
    """Lines over a transport. `clock` stamps them, `io_clock` runs the time-outs of the wire."""

    def __init__(self, transport: Transport, clock: Clock, io_clock: Clock, *, ending: bytes) -> None:
        self._transport = transport
        self._clock = clock
        self._io_clock = io_clock
        self._ending = ending
        self._partial = bytearray()
        self._lines: list[Line] = []

    @property
    def port(self) -> str:
        """The port's name."""
        return self._transport.name

    def send(self, text: str) -> float:
        """Send a line; gives the process time just before.

        Raises:
            PortLost: the port is gone.
        """
        before_s = self._clock.monotonic()
        self._transport.write(text.encode() + self._ending)
        return before_s

    def receive(self, timeout_s: float) -> Line | None:
        """The next line, or None when `timeout_s` of I/O time brought none.

        Raises:
            PortLost: the port is gone.
        """
        return self.receive_before(Deadline(self._io_clock, timeout_s))

    def receive_before(self, deadline: Deadline) -> Line | None:
        """The next line, or None when the deadline, of whichever clock, comes first.

        Raises:
            PortLost: the port is gone.
        """
        while not self._lines:
            if not self._take(self._transport.read(min(deadline.remaining_s, READ_SLICE_S))) and deadline.expired:
                return None
        return self._lines.pop(0)

    def discard(self) -> list[Line]:
        """Throw away all that has arrived, an unfinished line too; gives the lines thrown away.

        Raises:
            PortLost: the port is gone.
        """
        while self._transport.in_waiting:
            self._take(self._transport.read(0.0))
        thrown, self._lines = self._lines, []
        self._partial.clear()
        return thrown

    def close(self) -> None:
        self._transport.close()

    def _take(self, data: bytes) -> bool:
        self._partial += data
        now_s = self._clock.monotonic()
        *complete, rest = self._partial.split(b"\n")
        if len(rest) > LONGEST_LINE_BYTES:
            complete.append(rest)
            rest = bytearray()
        self._partial = rest
        self._lines += [Line(_text(raw), now_s) for raw in complete]
        return bool(data)


def _text(raw: bytes | bytearray) -> str:
    """UTF-8 where it is; else Latin-1, in which older instruments write µ and °."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.strip("\r\n\0")
