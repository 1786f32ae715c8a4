"""Thermohygrometer and barometer in the Vaisala PTU300 dialect, after its user's guide (M210796EN, pages 94 to 105).

Commands in either case, closed by CR: `SEND`, `FORM`, `?`, `SNUM`, `VERS`. Echo is off, so there is no prompt. The
output format at power-on is the one a calibration laboratory would leave: two decimals of hPa and °C, one of %RH.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from firmware_mock.physics.certificates import draw_error, rig_number, rig_text
from firmware_mock.physics.environment import RoomAir
from firmware_mock.ports import Port
from firmware_mock.world import World

FACTORY_FORMAT = '6.1 "P=" P " " U6 3.1 "T=" T " " U3 3.1 "RH=" RH " " U4 \\r \\n'
LABORATORY_FORMAT = '5.2 "P=" P " " U4 3.2 "T=" T " " U3 3.1 "RH=" RH " " U4 \\r \\n'
LONGEST_LINE = 256
_VERSION = "PTU300 / 2.02"
_UNITS = {"P": "hPa", "T": "'C", "RH": "%RH"}
_CONTROLS = {"R": "\r", "N": "\n", "T": "\t"}
_TOKEN = re.compile(r'\s*(?:"(?P<text>[^"]*)"|(?P<size>\d\.\d)|[\\#](?P<control>[RrNnTt])|(?P<word>[A-Za-z]+\d?))')


class Thermohygrometer:
    """The instrument's side of the cable, with the errors its certificate allows, drawn per seed."""

    def __init__(self, world: World, port: Port, rig: Mapping[str, Any], air: RoomAir) -> None:
        self._world = world
        self._port = port
        self._air = air
        self._serial_number = rig_text(rig, "environment", "serial_number")
        self._temperature_error_k, self._humidity_error_pct, self._pressure_error_hpa = (
            draw_error(
                world,
                f"environment.{quantity}_error_{unit}",
                rig_number(rig, "environment", "certificate", f"{quantity}_standard_uncertainty_{unit}"),
            )
            for quantity, unit in (("temperature", "k"), ("humidity", "pct"), ("pressure", "hpa"))
        )
        self._noise = world.stream("environment.noise")
        self._format = LABORATORY_FORMAT
        self._line = bytearray()
        port.on_receive = self._receive

    def _receive(self, data: bytes) -> None:
        self._line += data.replace(b"\n", b"")
        while (end := self._line.find(b"\r")) >= 0:
            line = bytes(self._line[:end])
            del self._line[: end + 1]
            if line.strip():
                self._port.send(self._reply(line.decode("ascii", "replace").strip()).encode("ascii", "replace"))
        del self._line[LONGEST_LINE:]

    def _reply(self, line: str) -> str:
        command, _, parameters = line.partition(" ")
        match command.upper(), parameters.strip():
            case "SEND", "":
                return self._measure()
            case "FORM", "":
                return f"{self._shown_format()}\r\n"
            case "FORM", "/":
                self._format = FACTORY_FORMAT
                return "OK\r\n"
            case "FORM", wanted if is_format(wanted):
                self._format = wanted
                return "OK\r\n"
            case "?", "":
                return self._information()
            case "SNUM", "":
                return f"Serial number  : {self._serial_number}\r\n"
            case "VERS", "":
                return f"{_VERSION}\r\n"
        return "Unknown command\r\n"

    def _measure(self) -> str:
        now_ns, gauss, effects = self._world.now_ns, self._noise.gauss, self._air.effects
        temperature_c = self._air.temperature_c(now_ns) + self._temperature_error_k
        humidity_pct = self._air.humidity_pct(now_ns) + self._humidity_error_pct
        pressure_hpa = self._air.pressure_hpa(now_ns) + self._pressure_error_hpa
        values = {
            "T": temperature_c + gauss(0.0, effects.thermometer_noise_k),
            "RH": min(max(humidity_pct + gauss(0.0, effects.hygrometer_noise_pct), 0.0), 100.0),
            "P": pressure_hpa + gauss(0.0, effects.barometer_noise_hpa),
        }
        return format_output(self._format, values)

    def _shown_format(self) -> str:
        return self._format.replace("#", "\\")

    def _information(self) -> str:
        lines = (
            _VERSION,
            f"Serial number  : {self._serial_number}",
            f"Output format  : {self._shown_format()}",
            "Start mode     : STOP",
            "Baud P D S     : 4800 E 7 1",
            "Output interval: 1 s",
            "Address        : 0",
            "Echo           : OFF",
            "Module 1       : BARO-1",
            "Module 2       : EMPTY",
        )
        return "".join(f"{line}\r\n" for line in lines)


def is_format(text: str) -> bool:
    """Whether the whole text is made of items that the formatter knows."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return False
        word = (match["word"] or "").upper()
        if word and word not in _UNITS and not re.fullmatch(r"U\d?", word):
            return False
        position = match.end()
    return bool(text)


def format_output(template: str, values: Mapping[str, float]) -> str:
    """Readings laid out as the FORM command defines it.

    `x.y` sets integer digits and decimals of the quantities after it, `Un` writes the last quantity's unit in a field
    of n characters, text stands in quotes, \\r \\n \\t (or #r #n #t) are control characters.
    """
    before_point, decimals, quantity = 3, 1, ""
    output: list[str] = []
    for match in _TOKEN.finditer(template):
        if match["text"] is not None:
            output.append(match["text"])
        elif match["size"]:
            before_point, decimals = (int(digits) for digits in match["size"].split("."))
        elif match["control"]:
            output.append(_CONTROLS[match["control"].upper()])
        elif (word := match["word"].upper()).startswith("U"):
            output.append(_UNITS.get(quantity, "").ljust(int(word[1:] or 0)))
        else:
            quantity = word
            output.append(f"{values[quantity]:{before_point + 1 + decimals}.{decimals}f}")
    return "".join(output)
