"""The first words with a pump: HELLO through boot garbage, and whether it is a pump this program may talk to."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from driver.clock import Clock, Deadline
from driver.errors import LinkTimeout, VersionMismatch, WrongDevice
from driver.link import Link
from protocol import PROTOCOL_MAJOR, PROTOCOL_MINOR, Capability, Hello, HelloRequest

HELLO_WINDOW_S = 5.0


@dataclass(frozen=True, slots=True)
class PumpIdentity:
    """Who answers at the port, from HELLO; `boot_id` differs after every reset."""

    model: str
    serial_number: str
    firmware_version: str
    protocol_version: str
    boot_id: int
    capabilities: Capability | int

    @classmethod
    def from_hello(cls, hello: Hello) -> PumpIdentity:
        return cls(
            model=hello.model,
            serial_number=hello.serial_number,
            firmware_version=hello.firmware_version,
            protocol_version=f"{hello.protocol_major}.{hello.protocol_minor}",
            boot_id=hello.boot_id,
            capabilities=hello.capabilities,
        )


def hello_request(nonce: int) -> HelloRequest:
    """The HELLO of this program; the nonce, 64 bits, is another one in each session."""
    return HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR, nonce)


def greet(link: Link, io_clock: Clock, request: HelloRequest) -> Hello:
    """Send one HELLO until the pump answers; what it prints while booting is let pass.

    Raises:
        LinkTimeout: no pump answers within 5 s.
        TransportError: the port is lost.
    """
    window = Deadline(io_clock, HELLO_WINDOW_S)
    while not window.expired:
        with contextlib.suppress(LinkTimeout):
            return link.request(request, Hello, timeout_s=window.remaining_s)
    raise LinkTimeout(
        link.port,
        f"no pump answered within {HELLO_WINDOW_S:.0f} s; check that it is on and that this is its port",
    )


def check(port: str, hello: Hello, expect_serial: str | None) -> None:
    """
    Raises:
        VersionMismatch: the pump speaks another major version of the protocol than this program.
        WrongDevice: its serial number is not the one expected.
    """
    if hello.protocol_major != PROTOCOL_MAJOR:
        raise VersionMismatch(
            port,
            f"pump {hello.serial_number} speaks protocol {hello.protocol_major}.{hello.protocol_minor} and this "
            f"program {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}; use a program of the pump's major version",
        )
    if expect_serial is not None and hello.serial_number != expect_serial:
        raise WrongDevice(
            port,
            f"pump {hello.serial_number} answers here, {expect_serial} is expected; check cables or rig file",
        )
