"""Opening a pump: the port, the first words, what it understands, the handshake, and earlier doses settled by id."""

from __future__ import annotations

from dataclasses import dataclass

from driver.authentication import HELLO_NONCE_BYTES, Authentication, credentials_for, no_key, random_bytes_for
from driver.clock import Clock
from driver.dosing import Dosing
from driver.greeting import check, greet, hello_request
from driver.journal import Journal
from driver.keys import KeySource
from driver.link import Link
from driver.schemas import Layouts, SchemaCache, layouts_of
from driver.transport import SerialSettings, Transport, open_guarded
from protocol import Capability, Hello


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
    key: bytes | KeySource | None,
) -> Connection:
    """Open the port and greet the pump; arguments and errors are those of `Pump.open`, without `journal` an observer's.

    Raises:
        DriverError: see `Pump.open`; the port is given back.
    """
    line_clock = io_clock if io_clock is not None else clock
    link = Link(open_guarded(port, serial_settings), line_clock)
    try:
        random_bytes = random_bytes_for(host_nonce)
        nonce = int.from_bytes(random_bytes(HELLO_NONCE_BYTES), "little") if host_nonce is None else host_nonce
        request = hello_request(nonce)
        hello = greet(link, line_clock, request)
        check(link.port, hello, expect_serial)
        layouts = layouts_of(link, hello, schemas)
        credentials = credentials_for(port, hello.serial_number, key)
        if credentials.keys:
            authentication = Authentication(link, hello, credentials, random_bytes)
            authentication.open(request)
            hello = authentication.hello
        elif hello.capabilities & Capability.AUTHENTICATION:
            link.only_read(no_key(hello.serial_number, credentials.place))
        dosing = None
        if journal is not None:
            journal.bind(hello.serial_number)
            dosing = _settled(link, journal)
    except BaseException:
        link.close()
        raise
    return Connection(link, clock, line_clock, hello, layouts, journal, dosing)


def _settled(link: Link, journal: Journal) -> Dosing:
    """The doses of a pump whose journal is open, once the pump was asked for those without an end."""
    try:
        dosing = Dosing(link, journal)
        dosing.reconcile()
    except BaseException:
        journal.release()
        raise
    return dosing
