"""Sessions to standard output, as text or as JSON: from a file in one go, or live from a thread of its own."""

from __future__ import annotations

import queue
import threading
from typing import Any

import click

from bench.exit_codes import print_json
from bench.wire.pcapng import Packet
from bench.wire.session import Session
from bench.wire.session_text import LEGEND, json_entry, summary_json, summary_lines, text_line, utc_text

CLOSING_S = 5.0


class Output:
    """Prints what packets mean, each interface of a file a session of its own."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._begun = False
        self._origin_ns: int | None = None
        self._sessions: dict[int, Session] = {}

    def packet(self, packet: Packet) -> None:
        """Print what a packet completes."""
        if not self._begun:
            self._begin(packet)
        session = self._sessions.setdefault(packet.interface, Session())
        for heard in session.feed(packet):
            if self._as_json:
                several = {"interface": packet.interface} if packet.interface else {}
                print_json(**several, **json_entry(heard, self._origin_ns))
            else:
                click.echo(self._prefix(packet.interface) + text_line(heard, self._origin_ns))

    def summary(self, **facts: Any) -> None:
        """Print the counts, and facts that are not None: as sentences, or as members of the last JSON object."""
        known = {name: fact for name, fact in facts.items() if fact is not None}
        tallies = {number: session.tally for number, session in (self._sessions or {0: Session()}).items()}
        if self._as_json:
            first, *others = [summary_json(tally) for tally in tallies.values()]
            print_json(summary=first, **({"other_interfaces": others} if others else {}), **known)
            return
        for number, tally in tallies.items():
            for line in summary_lines(tally):
                click.echo(self._prefix(number) + line)
        for fact in known.values():
            click.echo(fact)

    def _begin(self, packet: Packet) -> None:
        self._begun = True
        self._origin_ns = packet.time_ns
        if not self._as_json:
            when = f"First packet at {utc_text(packet.time_ns)}. " if packet.time_ns is not None else ""
            click.echo(f"{when}{LEGEND if when else LEGEND.partition(';')[0]}")

    def _prefix(self, interface: int) -> str:
        return f"[{interface}] " if interface else ""


class LiveOutput:
    """An `Output` fed from any thread: a terminal that stands still holds nobody up. Close it before the summary."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._packets: queue.SimpleQueue[Packet | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._print, name="live output", daemon=True)
        self._thread.start()

    def packet(self, packet: Packet) -> None:
        """Have a packet printed."""
        self._packets.put(packet)

    def close(self) -> bool:
        """Wait until all is printed; False where the terminal did not take it within 5 s."""
        self._packets.put(None)
        self._thread.join(CLOSING_S)
        return not self._thread.is_alive()

    def _print(self) -> None:
        while (packet := self._packets.get()) is not None:
            try:
                self._output.packet(packet)
            except OSError:
                return
