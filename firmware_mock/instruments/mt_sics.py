"""MT-SICS at the balance's port, after Mettler-Toledo's reference manual for XPR and XSR balances (30324923).

Commands: @ C0 I0 I1 I2 I3 I4 M02 M03 S SI SIR T TA TAC TI Z ZI, upper case, closed by CR LF. Weights are in grams,
right-aligned in ten characters. `S`, `T` and `Z` wait for a stable weight; while one waits, other commands answer `I`
(not executable), except `@`, which cancels it. `SIR` repeats with every update until a weight is asked for otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.instruments.balance import UPDATE_NS, Balance, Outcome, Reading
from firmware_mock.ports import Port
from firmware_mock.world import Event, World, to_ns

LONGEST_LINE = 256
_LEVELS = {
    0: ("@", "I0", "I1", "I2", "I3", "I4", "S", "SI", "SIR", "Z", "ZI"),
    1: ("T", "TA", "TAC", "TI"),
    2: ("C0", "M02", "M03"),
}
_SOFTWARE = "1.00 10.28.0.493.142"
_VERSIONS = '"012" "2.30" "2.22" "2.33" "2.20"'


class MtSics:
    """The balance's side of the cable."""

    def __init__(self, world: World, port: Port, balance: Balance) -> None:
        self._world = world
        self._port = port
        self._balance = balance
        self._line = bytearray()
        self._waiting: Event | None = None
        self._repeating: Event | None = None
        effects = balance.effects
        self._delay_ns = to_ns(1e-3 * effects.answer_delay_ms)
        self._jitter_ms = effects.answer_jitter_ms
        self._jitter = world.stream("balance.answer_jitter")
        self._jittered = 0
        self._patience_ns = to_ns(effects.stability_timeout_s)
        self._last_answer_ns = world.now_ns
        capacity_g = f"{1e-3 * balance.capacity_mg:.{balance.decimals_g}f}"
        self._commands: dict[str, Callable[[str], None]] = {
            "@": self._cancel,
            "C0": self._adjustment_setting,
            "I0": self._list_commands,
            "I1": lambda _: self._answer(f"I1 A {_VERSIONS}"),
            "I2": lambda _: self._answer(f'I2 A "{balance.model} {capacity_g} g"'),
            "I3": lambda _: self._answer(f'I3 A "{_SOFTWARE}"'),
            "I4": lambda _: self._answer(f'I4 A "{balance.serial_number}"'),
            "M02": self._environment_setting,
            "M03": self._autozero_setting,
            "S": lambda _: self._when_stable("S", self._send_stable),
            "SI": lambda _: self._send_now(),
            "SIR": lambda _: self._repeat(),
            "T": lambda _: self._when_stable("T", lambda: self._tare("T", "S")),
            "TA": self._preset_tare,
            "TAC": self._clear_tare,
            "TI": lambda _: self._tare("TI", self._status()),
            "Z": lambda _: self._when_stable("Z", lambda: self._zero("Z", "A")),
            "ZI": lambda _: self._zero("ZI", self._status()),
        }
        port.on_receive = self._receive
        world.at_close(self._note_evidence)

    def _receive(self, data: bytes) -> None:
        self._line += data
        while (end := self._line.find(b"\n")) >= 0:
            line = bytes(self._line[:end])
            del self._line[: end + 1]
            self._handle(line.removesuffix(b"\r"))
        if len(self._line) > LONGEST_LINE:
            self._line.clear()
            self._answer("ET")

    def _handle(self, line: bytes) -> None:
        if not line.isascii():
            self._answer("ET")
            return
        name, _, parameters = line.decode("ascii").partition(" ")
        command = self._commands.get(name)
        if command is None:
            self._answer("ES")
        elif parameters and name not in ("C0", "M02", "M03", "TA"):
            self._answer("EL")
        elif self._waiting is not None and name != "@":
            self._answer(f"{'S' if name in ('SI', 'SIR') else name} I")
        else:
            if name in ("S", "SI", "SIR", "T", "TI", "Z", "ZI"):
                self._stop_repeating()
            command(parameters)

    def _answer(self, text: str) -> None:
        """Send a line, after the balance's own delay."""
        due_ns = self._world.now_ns + self._delay_ns
        if self._jitter_ms:
            due_ns += to_ns(1e-3 * self._jitter.uniform(0.0, self._jitter_ms))
            self._jittered += 1
        due_ns = self._last_answer_ns = max(due_ns, self._last_answer_ns)
        data = f"{text}\r\n".encode("ascii")
        if due_ns > self._world.now_ns:
            self._world.at(due_ns, lambda: self._port.send(data))
        else:
            self._port.send(data)

    def _weight(self, digits: int) -> str:
        return f"{digits * self._balance.digit_mg * 1e-3:10.{self._balance.decimals_g}f} g"

    def _status(self) -> str:
        return "S" if self._display().stable else "D"

    def _display(self) -> Reading:
        return self._balance.display(self._world.now_ns)

    def _send_now(self) -> None:
        reading = self._display()
        if reading.outcome is not Outcome.DONE:
            self._answer(f"S {reading.outcome.value}")
        else:
            self._answer(f"S {'S' if reading.stable else 'D'} {self._weight(reading.digits)}")

    def _send_stable(self) -> None:
        self._answer(f"S S {self._weight(self._display().digits)}")

    def _when_stable(self, name: str, act: Callable[[], None]) -> None:
        give_up_ns = self._world.now_ns + self._patience_ns

        def look() -> None:
            self._waiting = None
            reading = self._display()
            if reading.outcome is not Outcome.DONE:
                self._answer(f"{name} {reading.outcome.value}")
            elif reading.stable:
                act()
            elif self._world.now_ns >= give_up_ns:
                self._answer(f"{name} I")
            else:
                self._waiting = self._world.at(self._world.now_ns + UPDATE_NS, look)

        look()

    def _repeat(self) -> None:
        self._send_now()
        self._repeating = self._world.at(self._world.now_ns + UPDATE_NS, self._repeat)

    def _stop_repeating(self) -> None:
        if self._repeating is not None:
            self._repeating.cancel()
            self._repeating = None

    def _tare(self, name: str, status: str) -> None:
        outcome = self._balance.tare(self._world.now_ns)
        if outcome is Outcome.DONE:
            self._answer(f"{name} {status} {self._weight(self._balance.tare_digits)}")
        else:
            self._answer(f"{name} {outcome.value}")

    def _zero(self, name: str, status: str) -> None:
        outcome = self._balance.zero(self._world.now_ns)
        self._answer(f"{name} {status if outcome is Outcome.DONE else outcome.value}")

    def _preset_tare(self, parameters: str) -> None:
        if parameters:
            number, _, unit = parameters.strip().partition(" ")
            try:
                tare_mg = 1e3 * float(number)
            except ValueError:
                tare_mg = -1.0
            if unit.strip() != "g" or not self._balance.set_tare(self._world.now_ns, tare_mg):
                self._answer("TA L")
                return
        self._answer(f"TA A {self._weight(self._balance.tare_digits)}")

    def _clear_tare(self, _: str) -> None:
        self._balance.set_tare(self._world.now_ns, 0.0)
        self._answer("TAC A")

    def _cancel(self, _: str) -> None:
        """Back to the state after switching on, without a zero: nothing waits or repeats, no tare; settings stay."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        self._stop_repeating()
        self._balance.set_tare(self._world.now_ns, 0.0)
        self._answer(f'I4 A "{self._balance.serial_number}"')

    def _list_commands(self, _: str) -> None:
        commands = [(level, name) for level, names in _LEVELS.items() for name in names]
        for level, name in commands[:-1]:
            self._answer(f'I0 B {level} "{name}"')
        self._answer('I0 A {} "{}"'.format(*commands[-1]))

    def _environment_setting(self, parameters: str) -> None:
        if not parameters:
            self._answer(f"M02 A {self._balance.filter_setting}")
        elif parameters.isdecimal() and int(parameters) < self._balance.filter_settings:
            self._balance.set_filter(self._world.now_ns, int(parameters))
            self._answer("M02 A")
        else:
            self._answer("M02 L")

    def _autozero_setting(self, parameters: str) -> None:
        if not parameters:
            self._answer(f"M03 A {int(self._balance.autozero)}")
        elif parameters in ("0", "1"):
            self._balance.set_autozero(self._world.now_ns, parameters == "1")
            self._answer("M03 A")
        else:
            self._answer("M03 L")

    def _adjustment_setting(self, parameters: str) -> None:
        """Manual or automatic (0, 1), with the built-in weight (0); an external one is not offered."""
        if not parameters:
            self._answer(f'C0 A {int(self._balance.auto_adjustment)} 0 ""')
        elif parameters in ("0 0", "1 0"):
            self._balance.set_auto_adjustment(self._world.now_ns, parameters == "1 0")
            self._answer("C0 A")
        else:
            self._answer("C0 L")

    def _note_evidence(self) -> None:
        if self._jittered:
            self._world.ledger.saw("balance.answer_jitter", self._jittered)
