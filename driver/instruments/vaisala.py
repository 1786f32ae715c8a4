"""Vaisala PTU300: pressure, temperature and humidity by `SEND`, identity by `?`.

Source: PTU300 user's guide M210796EN: table 15 (user port, 4800 baud, 7 bits, even parity), SEND, FORM (page 105 shows
the default reply), `?` and ECHO. The output format is the owner's to set, so a reply is read by label and unit, never
by position. With echo on, the command comes back before the reply and a prompt `>` stands before lines.
"""

from __future__ import annotations

import re
from typing import Self

from driver.clock import Clock
from driver.errors import EnvironmentProtocolError, InstrumentTimeout
from driver.instruments.environment import AirReading, ThermohygrometerIdentity
from driver.instruments.line import Line, LineChannel
from driver.transport import SerialSettings, Transport

FACTORY_SETTINGS = SerialSettings(baud=4800, data_bits=7, parity="E")
TIMEOUT_S = 2.0
QUIET_S = 0.3

HPA_PER_UNIT = {
    "hPa": 1.0,
    "mbar": 1.0,
    "Pa": 0.01,
    "kPa": 10.0,
    "bara": 1000.0,
    "mmHg": 1.33322387415,
    "torr": 1.33322368421,
    "inHg": 33.86388667,
    "psia": 68.94757293,
}

_QUANTITY = re.compile(
    r"([A-Za-z][A-Za-z0-9]*)\s*=\s*([+-]?\d+(?:\.\d*)?|\*+)\s*('C|'F|°C|°F|%RH|[A-Za-z]+\b(?!\s*=))?"
)


class VaisalaPtu300:
    """A PTU300 in STOP mode, as it leaves the factory."""

    def __init__(self, transport: Transport, clock: Clock, io_clock: Clock) -> None:
        self._line = LineChannel(transport, clock, io_clock, ending=b"\r")
        self._line.discard()
        self._in_step = True

    @property
    def port(self) -> str:
        return self._line.port

    def read(self) -> AirReading:
        """`SEND`: temperature in °C, relative humidity in %, absolute pressure in hPa.

        Raises:
            EnvironmentProtocolError, InstrumentTimeout, PortLost: there is no reading.
        """
        if not self._in_step:
            self.identity()
        self._line.discard()
        sent_s = self._line.send("SEND")
        line = self._reply("SEND")
        found = {label.upper(): (value, unit) for label, value, unit in _QUANTITY.findall(line.text)}
        half_s = (line.time_s - sent_s) / 2.0
        return AirReading(
            temperature_c=self._temperature_c(found, line.text),
            humidity_pct=self._quantity(found, "RH", {"%RH": 1.0}, line.text),
            pressure_hpa=self._quantity(found, "P", HPA_PER_UNIT, line.text),
            time_s=sent_s + half_s,
            half_width_s=half_s,
            raw=line.text,
        )

    def identity(self) -> ThermohygrometerIdentity:
        """`?`: type, serial number and software version, out of the list of settings.

        Raises:
            EnvironmentProtocolError, InstrumentTimeout, PortLost: the instrument does not say.
        """
        self._line.discard()
        self._line.send("?")
        lines = [self._reply("?").text]
        while (line := self._line.receive(QUIET_S)) is not None:
            lines.append(line.text.lstrip("> "))
        raw = "\n".join(lines)
        header = re.search(r"^(PT[UB]\w+) / (\S+)\s*$", raw, re.MULTILINE)
        serial_number = re.search(r"^Serial number\s*:\s*(\S+)", raw, re.MULTILINE)
        if header is None or serial_number is None:
            raise self._strange("?", raw, "it should name the type and the serial number")
        self._in_step = True
        return ThermohygrometerIdentity(header[1], serial_number[1], header[2])

    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _reply(self, command: str) -> Line:
        """The first line that is neither empty nor the command's echo."""
        self._in_step = False
        while (line := self._line.receive(TIMEOUT_S)) is not None:
            text = line.text.lstrip("> \r")
            if text.strip() and text.strip().upper() != command:
                self._in_step = True
                return Line(text, line.time_s)
        raise InstrumentTimeout(
            self.port,
            f"the thermohygrometer did not answer {command} within {TIMEOUT_S:g} s; is it on, and in STOP mode?",
            command=command,
        )

    def _temperature_c(self, found: dict[str, tuple[str, str]], raw: str) -> float:
        unit = found.get("T", ("", ""))[1]
        if unit in ("'F", "°F"):
            return (self._quantity(found, "T", {unit: 1.0}, raw) - 32.0) / 1.8
        return self._quantity(found, "T", {"'C": 1.0, "°C": 1.0}, raw)

    def _quantity(self, found: dict[str, tuple[str, str]], label: str, units: dict[str, float], raw: str) -> float:
        if label not in found:
            raise self._strange("SEND", raw, f"{label} is missing; put it back with FORM /")
        value, unit = found[label]
        if value.startswith("*"):
            raise self._strange("SEND", raw, f"{label} is not being measured now; look for errors with ERRS")
        if unit not in units:
            raise self._strange("SEND", raw, f"{label} should be in one of {', '.join(units)}; set it with UNIT")
        return float(value) * units[unit]

    def _strange(self, command: str, raw: str, wanted: str) -> EnvironmentProtocolError:
        self._in_step = False
        return EnvironmentProtocolError(
            self.port, f"the thermohygrometer answered {raw!r} to {command}: {wanted}", command=command, raw=raw
        )
