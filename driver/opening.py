"""Opening a pump: the port, the first words, what it understands, the handshake, and earlier doses settled by id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from driver.authentication import (
    HELLO_NONCE_BYTES,
    ROUNDS,
    Authentication,
    credentials_for,
    is_simulated,
    no_key,
    random_bytes_for,
)
from driver.clock import Clock, Deadline
from driver.dosing import Dosing
from driver.errors import NakError, VersionMismatch, WrongDevice
from driver.greeting import HELLO_WINDOW_S, check, greet, hello_request
from driver.journal import Journal
from driver.keys import KeySource
from driver.link import Link
from driver.schemas import Layouts, SchemaCache, layouts_of
from driver.transport import SerialSettings, Transport, open_guarded
from protocol import Capability, Hello, HelloRequest


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
        ValueError: a nonce is given, and the port does not end in this program.
        DriverError: see `Pump.open`; the port is given back.
    """
    if host_nonce is not None and not is_simulated(port):
        name = port if isinstance(port, str) else port.name
        raise ValueError(
            f"{name}: a host_nonce is given only to a pump simulated in the same program, since a session that begins "
            "with a known one can be recorded and played back; leave it out"
        )
    line_clock = io_clock if io_clock is not None else clock
    link = Link(open_guarded(port, serial_settings), line_clock)
    try:
        hello, layouts = _introduced(link, port, line_clock, expect_serial, host_nonce, schemas, key)
        dosing = None
        if journal is not None:
            journal.bind(hello.serial_number)
            dosing = _settled(link, journal)
    except BaseException:
        link.close()
        raise
    return Connection(link, clock, line_clock, hello, layouts, journal, dosing)


def _introduced(
    link: Link,
    port: str | Transport,
    line_clock: Clock,
    expect_serial: str | None,
    host_nonce: int | None,
    schemas: SchemaCache | None,
    key: bytes | KeySource | None,
) -> tuple[Hello, Layouts]:
    """Who answers and what it understands, behind a handshake where there is a key.

    Anybody on the line may have refused HELLO or changed its answer, so that what it says against the pump is asked
    about again, in a few rounds within the time that a pump has to answer.
    """
    random_bytes = random_bytes_for(host_nonce)
    window = Deadline(line_clock, HELLO_WINDOW_S)
    for round_ in range(1, ROUNDS + 1):
        nonce = int.from_bytes(random_bytes(HELLO_NONCE_BYTES), "little") if host_nonce is None else host_nonce
        request, host_nonce = hello_request(nonce), None
        try:
            hello = greet(link, line_clock, request)
            check(link.port, hello, expect_serial)
            layouts = layouts_of(link, hello, schemas)
            return _proven(link, port, request, hello, random_bytes, key), layouts
        except (NakError, VersionMismatch, WrongDevice):
            if round_ == ROUNDS or window.expired:
                raise
            link.start_over()
    raise AssertionError("the last round ends in one way or the other")


def _proven(
    link: Link,
    port: str | Transport,
    request: HelloRequest,
    hello: Hello,
    random_bytes: Callable[[int], bytes],
    key: bytes | KeySource | None,
) -> Hello:
    """HELLO as the pump has proven it; as it came where this host has no key."""
    credentials = credentials_for(port, hello.serial_number, key)
    if credentials.keys:
        authentication = Authentication(link, hello, credentials, random_bytes)
        authentication.open(request)
        return authentication.hello
    if hello.capabilities & Capability.AUTHENTICATION:
        link.only_read(no_key(hello.serial_number, credentials.place))
    return hello


def _settled(link: Link, journal: Journal) -> Dosing:
    """The doses of a pump whose journal is open, once the pump was asked for those without an end."""
    try:
        dosing = Dosing(link, journal)
        dosing.reconcile()
    except BaseException:
        journal.release()
        raise
    return dosing
