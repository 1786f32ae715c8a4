"""Mettler-Toledo's MT-SICS, levels 0 and 1 and the settings read back from level 2.

Source: MT-SICS reference manuals 11780711 (Excellence balances) and 11781363 (weigh modules), the pages of the commands
and "Tips for programmers". Commands end in CR LF. `S`, `SI` and `SIR` all answer with the identifier S, so a late reply
to one looks like a prompt reply to the next: after a time-out nothing is believed before the reply to an inquiry that
has an identifier of its own. The balance answers in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import Self, TypeVar

from driver.clock import Clock
from driver.errors import (
    BalanceError,
    BalanceLogicError,
    BalanceProtocolError,
    BalanceRestarted,
    BalanceSyntaxError,
    DriverError,
    InstrumentTimeout,
)
from driver.instruments.balance import BalanceIdentity, BalanceSettings, Reading
from driver.instruments.line import Line, LineChannel
from driver.instruments.mt_sics_reply import is_announcement, read_fields, read_mass, restarted, strange, to_mg
from driver.transport import SerialSettings, Transport

FACTORY_SETTINGS = SerialSettings(baud=9600)
PROMPT_TIMEOUT_S = 2.0
STABLE_TIMEOUT_S = 60.0
ENVIRONMENTS = ("very stable", "stable", "standard", "unstable", "very unstable", "automatic")

_MARKERS = ("I4", "I3", "I2", "I1")
_T = TypeVar("_T")


class MtSicsBalance:
    """A balance that speaks MT-SICS. Every error reply is raised as the exception of its name, with the raw reply."""

    def __init__(self, transport: Transport, clock: Clock, io_clock: Clock) -> None:
        self._line = LineChannel(transport, clock, io_clock, ending=b"\r\n")
        self._line.discard()
        self._in_step = True
        self._streaming = False
        self._markers = cycle(_MARKERS)
        self._last_command = ""

    @property
    def port(self) -> str:
        return self._line.port

    def read(self) -> Reading:
        """`SI`: the mass now, stable or not.

        Raises:
            BalanceError, InstrumentTimeout, PortLost: there is no reading.
        """
        return self._weigh("SI", PROMPT_TIMEOUT_S)

    def stable(self) -> Reading:
        """`S`: the next stable mass; the balance gives up in its own time with `BalanceNotReady`.

        Raises:
            BalanceError, InstrumentTimeout, PortLost: there is no reading.
        """
        return self._weigh("S", STABLE_TIMEOUT_S)

    def tare(self) -> float:
        """`T`: take the stable mass as tare; gives it in mg.

        Raises:
            BalanceError, InstrumentTimeout, PortLost: the tare is as it was, or, after a time-out, not known.
        """
        mass_mg, _ = self._exchange("T", lambda raw: read_mass(self.port, "T", "T", raw), STABLE_TIMEOUT_S)
        return mass_mg

    def zero(self) -> None:
        """`Z`: set the stable mass to zero.

        Raises:
            BalanceError, InstrumentTimeout, PortLost: the zero is as it was, or, after a time-out, not known.
        """
        self._exchange("Z", lambda raw: read_fields(self.port, "Z", "Z", "A", raw), STABLE_TIMEOUT_S)

    def identity(self) -> BalanceIdentity:
        """`I2`, `I3`, `I4`: type with capacity in g, software, serial number.

        Raises:
            BalanceError, InstrumentTimeout, PortLost: the balance does not say.
        """
        type_, capacity_g = self._exchange("I2", self._read_type_and_capacity)
        software, serial_number = self._inquire("I3"), self._inquire("I4")
        return BalanceIdentity(type_, capacity_g, " ".join(serial_number), " ".join(software))

    def levels(self) -> str:
        """`I1`: the MT-SICS levels that the balance has in full, as a string of digits.

        Raises:
            BalanceError, InstrumentTimeout, PortLost: the balance does not say.
        """
        return self._inquire("I1")[0]

    def commands(self) -> tuple[str, ...]:
        """`I0`: the commands that the balance has.

        Raises:
            BalanceError, InstrumentTimeout, PortLost: the balance does not say.
        """
        status, command = self._exchange("I0", self._read_command)
        found = [command]
        while status == "B":
            status, command = self._accept(self._receive("I0", PROMPT_TIMEOUT_S), self._read_command)
            found.append(command)
        return tuple(found)

    def settings(self) -> BalanceSettings:
        """`M03` auto-zero, `C0` automatic adjustment, `M02` filter; None where the balance does not know the command.

        Raises:
            BalanceError, InstrumentTimeout, PortLost: the balance does not answer properly.
        """
        environment = self._setting("M02", len(ENVIRONMENTS))
        return BalanceSettings(
            auto_zero=_switch(self._setting("M03", 2)),
            auto_adjustment=_switch(self._setting("C0", 2)),
            filter=None if environment is None else ENVIRONMENTS[environment],
        )

    @contextmanager
    def stream(self) -> Iterator[Iterator[Reading]]:
        """`SIR`: readings as the balance makes them; leaving the context ends it with `SI`.

        Raises:
            BalanceError, InstrumentTimeout, PortLost: while iterating, or on ending the stream.
        """
        self._prepare("SIR")
        self._streaming, self._in_step = True, False
        try:
            yield self._readings(self._line.send("SIR"))
        except BaseException:
            self._in_step = False
            with suppress(DriverError):
                self._line.send("SI")
            raise
        else:
            self._line.send("SI")
            self._receive("SI", PROMPT_TIMEOUT_S)
            self._resynchronise()
        finally:
            self._streaming = False

    def reset(self) -> str:
        """`@`: cancel all that is pending, as after switching on but without zeroing; gives the serial number.

        Raises:
            BalanceError, InstrumentTimeout, PortLost: the balance does not answer.
        """
        self._in_step = False
        self._line.discard()
        self._line.send("@")
        line = self._skip_to("I4", "@")
        return " ".join(self._accept(line, lambda raw: read_fields(self.port, "@", "I4", "A", raw))[2:])

    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _weigh(self, command: str, timeout_s: float) -> Reading:
        self._prepare(command)
        return self._reading(command, self._send(command), timeout_s)

    def _readings(self, since_s: float) -> Iterator[Reading]:
        while True:
            reading = self._reading("SIR", since_s, PROMPT_TIMEOUT_S)
            self._in_step = False
            yield reading
            since_s = reading.time_s + reading.half_width_s

    def _reading(self, command: str, since_s: float, timeout_s: float) -> Reading:
        line = self._receive(command, timeout_s)
        mass_mg, stable = self._accept(line, lambda raw: read_mass(self.port, command, "S", raw))
        half_s = (line.time_s - since_s) / 2.0
        return Reading(mass_mg, stable, since_s + half_s, half_s, line.text)

    def _inquire(self, command: str) -> list[str]:
        def read(raw: str) -> list[str]:
            values = read_fields(self.port, command, command, "A", raw)[2:]
            if not values:
                raise strange(self.port, command, raw, "it should hold a value")
            return values

        return self._exchange(command, read)

    def _setting(self, command: str, choices: int) -> int | None:
        def read(raw: str) -> int:
            values = read_fields(self.port, command, command, "A", raw)[2:]
            if not values or values[0] not in [str(choice) for choice in range(choices)]:
                raise strange(self.port, command, raw, f"it should hold a number from 0 to {choices - 1}")
            return int(values[0])

        try:
            return self._exchange(command, read)
        except (BalanceSyntaxError, BalanceLogicError):
            return None

    def _read_command(self, raw: str) -> tuple[str, str]:
        fields = read_fields(self.port, "I0", "I0", "AB", raw)
        if len(fields) != 4:
            raise strange(self.port, "I0", raw, "it should give a level and a command")
        return fields[1], fields[3]

    def _read_type_and_capacity(self, raw: str) -> tuple[str, float]:
        """Type, capacity and unit come in one quoted text or in several; the type may hold blanks."""
        words = " ".join(read_fields(self.port, "I2", "I2", "A", raw)[2:]).split()
        if len(words) < 3:
            raise strange(self.port, "I2", raw, "it should give type, capacity and unit")
        return " ".join(words[:-2]), to_mg(self.port, "I2", words[-2], words[-1], raw) / 1000.0

    def _exchange(self, command: str, read: Callable[[str], _T], timeout_s: float = PROMPT_TIMEOUT_S) -> _T:
        self._prepare(command)
        self._send(command)
        return self._accept(self._receive(command, timeout_s), read)

    def _prepare(self, command: str) -> None:
        """Nothing that came before may be taken for the answer to what is sent next."""
        if self._streaming:
            raise BalanceError(self.port, f"{command} must wait, a stream of readings is running", command=command)
        if not self._in_step:
            self._resynchronise()
        for line in self._line.discard():
            if is_announcement(line.text):
                self._in_step = False
                raise restarted(self.port, command, line.text)

    def _send(self, command: str) -> float:
        self._in_step = False
        self._last_command = command
        return self._line.send(command)

    def _receive(self, command: str, timeout_s: float) -> Line:
        line = self._line.receive(timeout_s)
        if line is None:
            raise InstrumentTimeout(
                self.port, f"the balance did not answer {command} within {timeout_s:g} s; is it on?", command=command
            )
        return line

    def _accept(self, line: Line, read: Callable[[str], _T]) -> _T:
        """An error reply is an answer too; only what is none puts us out of step."""
        try:
            value = read(line.text)
        except BalanceError as error:
            self._in_step = not isinstance(error, BalanceProtocolError | BalanceRestarted)
            raise
        self._in_step = True
        return value

    def _resynchronise(self) -> None:
        """Ask something whose answer cannot be mistaken; all before that answer is old. The inquiries take turns."""
        marker = next(marker for marker in self._markers if marker != self._last_command)
        self._line.discard()
        self._send(marker)
        self._skip_to(marker, marker)
        self._in_step = True

    def _skip_to(self, identifier: str, command: str) -> Line:
        while True:
            line = self._receive(command, PROMPT_TIMEOUT_S)
            if line.text.startswith(identifier + " "):
                return line


def _switch(setting: int | None) -> bool | None:
    return None if setting is None else bool(setting)
