"""What the bench needs of a thermohygrometer with barometer; `open_thermohygrometer` finds the dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

from driver.clock import Clock, SystemClock
from driver.errors import UnknownDialect
from driver.transport import SerialSettings, Transport, open_guarded

DIALECTS = ("vaisala-ptu300",)


@dataclass(frozen=True, slots=True)
class AirReading:
    """The air, and the process time in s of the reading, known to ± `half_width_s`; `raw` is the instrument's reply."""

    temperature_c: float
    humidity_pct: float
    pressure_hpa: float
    time_s: float
    half_width_s: float
    raw: str


@dataclass(frozen=True, slots=True)
class ThermohygrometerIdentity:
    """What the instrument says it is."""

    type: str
    serial_number: str
    software: str


class Thermohygrometer(Protocol):
    """A thermohygrometer at a port. All methods raise `InstrumentError` or `TransportError`."""

    @property
    def port(self) -> str:
        """The port's name."""
        ...

    def read(self) -> AirReading:
        """Temperature in °C, relative humidity in %, absolute pressure in hPa."""
        ...

    def identity(self) -> ThermohygrometerIdentity: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def open_thermohygrometer(
    port: str | Transport,
    dialect: str = "vaisala-ptu300",
    *,
    clock: Clock | None = None,
    io_clock: Clock | None = None,
    serial_settings: SerialSettings | None = None,
) -> Thermohygrometer:
    """A thermohygrometer at a port, or at a transport, which stays the caller's to close.

    `clock` stamps the readings, `io_clock`, the same unless given, runs the time-outs of the line. `serial_settings`
    are the maker's factory setting unless given.

    Raises:
        UnknownDialect: no driver here speaks it.
        TransportError: the port is not there, busy or denied.
    """
    from driver.instruments.vaisala import FACTORY_SETTINGS, VaisalaPtu300

    if dialect not in DIALECTS:
        name = port if isinstance(port, str) else port.name
        raise UnknownDialect(name, f"no thermohygrometer driver speaks {dialect!r}; known: {DIALECTS[0]}")
    process_clock = clock if clock is not None else SystemClock()
    return VaisalaPtu300(
        open_guarded(port, serial_settings or FACTORY_SETTINGS), process_clock, io_clock or process_clock
    )
