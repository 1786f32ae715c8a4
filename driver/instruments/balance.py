"""What the bench needs of a balance, whatever its make; `open_balance` finds the dialect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, Self

from driver.clock import Clock, SystemClock
from driver.errors import UnknownDialect
from driver.transport import SerialSettings, Transport, open_guarded

DIALECTS = ("mt-sics",)


@dataclass(frozen=True, slots=True)
class Reading:
    """A mass in mg and the process time in s at which it was formed, known to ± `half_width_s`.

    For a single reading that is the middle of sending and receiving, with half the round trip; within a stream, the
    middle of the interval since the line before. `stable` is the balance's own opinion, `raw` its reply.
    """

    mass_mg: float
    stable: bool
    time_s: float
    half_width_s: float
    raw: str


@dataclass(frozen=True, slots=True)
class BalanceIdentity:
    """What the balance says it is."""

    type: str
    capacity_g: float
    serial_number: str
    software: str


@dataclass(frozen=True, slots=True)
class BalanceSettings:
    """Settings that decide whether slow flow is seen at all; None where the balance cannot tell and a person must."""

    auto_zero: bool | None
    auto_adjustment: bool | None
    filter: str | None


class Balance(Protocol):
    """A balance at a port. All methods raise `BalanceError`, `InstrumentTimeout` or `TransportError`."""

    @property
    def port(self) -> str:
        """The port's name."""
        ...

    def read(self) -> Reading:
        """The mass now, stable or not: the reading for flowing liquid."""
        ...

    def stable(self) -> Reading:
        """The next mass the balance holds for stable."""
        ...

    def tare(self) -> float:
        """Take the stable mass as tare; gives it in mg."""
        ...

    def zero(self) -> None:
        """Set the stable mass to zero."""
        ...

    def identity(self) -> BalanceIdentity: ...

    def settings(self) -> BalanceSettings: ...

    def stream(self) -> AbstractContextManager[Iterator[Reading]]:
        """Readings as the balance makes them, until the context is left."""
        ...

    def reset(self) -> str:
        """Cancel all that is pending; gives the serial number."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def open_balance(
    port: str | Transport,
    dialect: str = "mt-sics",
    *,
    clock: Clock | None = None,
    io_clock: Clock | None = None,
    serial_settings: SerialSettings | None = None,
) -> Balance:
    """A balance at a port, or at a transport, which stays the caller's to close.

    `clock` stamps the readings, `io_clock`, the same unless given, runs the time-outs of the line. `serial_settings`
    are the maker's factory setting unless given.

    Raises:
        UnknownDialect: no driver here speaks it.
        TransportError: the port is not there, busy or denied.
    """
    from driver.instruments.mt_sics import FACTORY_SETTINGS, MtSicsBalance

    if dialect not in DIALECTS:
        name = port if isinstance(port, str) else port.name
        raise UnknownDialect(name, f"no balance driver speaks {dialect!r}; known: {DIALECTS[0]}")
    process_clock = clock if clock is not None else SystemClock()
    return MtSicsBalance(
        open_guarded(port, serial_settings or FACTORY_SETTINGS), process_clock, io_clock or process_clock
    )
