"""Opening a pump: the port, the first words, what it understands, and earlier doses settled by id."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from driver.clock import Clock
from driver.dosing import Dosing
from driver.greeting import check, greet
from driver.journal import Journal
from driver.link import Link
from driver.schemas import Layouts, SchemaCache, layouts_of
from driver.transport import SerialSettings, Transport, open_guarded
from protocol import Hello


@dataclass(frozen=True, slots=True)
class Connection:
    """A pump that answered: the link to it, the clock of the process and that of the line, and who it is.

    `journal` and `dosing` are None for an observer.
    """

    link: Link
    clock: Clock
    io_clock: Clock
    hello: Hello
    layouts: Layouts
    journal: Journal | None
    dosing: Dosing | None


def connect(
    port: str | Transport,
    clock: Clock,
    io_clock: Clock | None,
    expect_serial: str | None,
    host_nonce: int | None,
    serial_settings: SerialSettings | None,
    schemas: SchemaCache | None,
    journal: Journal | None,
) -> Connection:
    """Open the port and greet the pump; arguments and errors are those of `Pump.open`, without `journal` an observer's.

    Raises:
        DriverError: see `Pump.open`; the port is given back.
    """
    line_clock = io_clock if io_clock is not None else clock
    link = Link(open_guarded(port, serial_settings), line_clock)
    try:
        hello = greet(link, line_clock, secrets.randbits(64) if host_nonce is None else host_nonce)
        check(link.port, hello, expect_serial)
        layouts = layouts_of(link, hello, schemas)
        dosing = None
        if journal is not None:
            journal.bind(hello.serial_number)
            dosing = Dosing(link, journal)
            dosing.reconcile()
    except BaseException:
        link.close()
        raise
    return Connection(link, clock, line_clock, hello, layouts, journal, dosing)
