"""A rig: pump, instruments and operator of one station, opened from a rig file, with one blocking primitive, `wait`."""

from __future__ import annotations

import datetime
import random
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.rigfile import KEYRING_NAME, RigFile, load_rig_file
from bench.simulation import MemoryStorage, SimulatedStation
from driver import Pump
from driver.clock import Clock, ScaledClock, SystemClock
from driver.instruments import Balance, Thermohygrometer, open_balance, open_thermohygrometer
from driver.instruments.operator import ConsoleOperator, Operator, RemoteOperator
from driver.journal import Journal
from driver.keys import KeyFile, KeyringStore, KeysInMemory, KeySource
from driver.transport import Transport
from protocol import TEST_KEY
from protocol.profile import ModelProfile, load_model

POLL_S = 0.02
CLOCK_TICK_S = 1e-6


@dataclass
class Rig:
    """An open rig. A context manager: leaving it stops what was started and closes every port.

    `clock` is the process clock, in seconds: durations and flow. `io_clock` is the one for time-outs; the two differ
    only where a served mock runs faster than the wall.
    """

    file: RigFile
    model: ModelProfile
    seed: int
    clock: Clock
    io_clock: Clock
    pump: Pump
    balance: Balance
    environment: Thermohygrometer
    operator: Operator
    simulated: SimulatedStation | None
    _on_wait: list[Callable[[], None]] = field(default_factory=list)
    _closing: ExitStack = field(default_factory=ExitStack)

    def stream(self, name: str) -> random.Random:
        """A random stream of this run's seed, for what a procedure randomises on purpose."""
        return random.Random(f"{self.seed}/{name}")

    def today(self) -> datetime.date:
        """The day that due dates are held against: the calendar's, in a simulation the one it plays on."""
        facts = self.file.simulation or self.file.served
        return facts.date if facts is not None else datetime.datetime.now(tz=datetime.UTC).date()

    def remaining_s(self, until_s: float) -> float:
        """Process time left until an instant; 0 once it is reached, to the microsecond."""
        remaining_s = until_s - self.clock.monotonic()
        return remaining_s if remaining_s > CLOCK_TICK_S else 0.0

    def wait(self, until_s: float) -> None:
        """Let process time pass up to an instant, servicing every link in a fixed order."""
        while True:
            self.pump.service()
            for hook in self._on_wait:
                hook()
            remaining_s = self.remaining_s(until_s)
            if remaining_s == 0.0:
                return
            if self.simulated is not None:
                service_s = max(self.pump.service_in_s, CLOCK_TICK_S)
                self.simulated.advance(min(until_s, self.clock.monotonic() + service_s))
            else:
                poll_s = POLL_S * (self.file.served.speed if self.file.served is not None else 1.0)
                self.clock.sleep(min(remaining_s, poll_s))

    @contextmanager
    def each_wait(self, hook: Callable[[], None]) -> Iterator[None]:
        """Call `hook` again and again while the rig waits: what must go on meanwhile, such as syncing a recording."""
        self._on_wait.append(hook)
        try:
            yield
        finally:
            self._on_wait.remove(hook)

    def close(self) -> None:
        """Stop what was started, close all ports; in a simulation close the world."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.__exit__(kind, error, traceback)


def open_rig(
    name_or_path: str | Path,
    *,
    seed: int | None = None,
    journal: Journal | None = None,
) -> Rig:
    """Open a rig from its file, or from the name of a shipped one.

    `seed` fixes what is random; without one, a simulated rig takes its file's, a real one draws it. `journal` is where
    dosing commands are noted, the user's own by default, for a simulated rig memory.

    Raises:
        FileError, ProfileError: the rig file or the pump model is wrong.
        DriverError: a port, an instrument or the pump is not there or is another one.
    """
    file, text = load_rig_file(name_or_path)
    model = load_model(file.pump.model)
    if seed is None:
        seed = file.simulation.seed if file.simulation is not None else secrets.randbits(32)
    with ExitStack() as stack:
        simulated: SimulatedStation | None = None
        keys: KeySource | None
        clock: Clock
        io_clock: Clock
        if file.simulation is not None:
            journal = journal if journal is not None else Journal.in_directory(Path(), storage=MemoryStorage())
            key = TEST_KEY if file.pump.key is not None else None
            keys = KeysInMemory({} if key is None else {file.pump.serial_number: key})
            simulated = SimulatedStation(text, _beside(name_or_path, file.simulation.scenario), seed, key)
            stack.callback(simulated.close)
            clock = io_clock = simulated.clock
        else:
            keys = _keys_of(name_or_path, file.pump.key)
            io_clock = SystemClock()
            clock = ScaledClock(file.served.speed) if file.served is not None else io_clock

        def port(name: str) -> str | Transport:
            return simulated.transport(name) if simulated is not None else name

        balance = open_balance(port(file.balance.port), file.balance.dialect, clock=clock, io_clock=io_clock)
        stack.callback(balance.close)
        environment = open_thermohygrometer(
            port(file.environment.port), file.environment.dialect, clock=clock, io_clock=io_clock
        )
        stack.callback(environment.close)
        operator: Operator
        if file.operator.port is not None:
            operator = RemoteOperator(port(file.operator.port), clock=clock)
            stack.callback(operator.close)
        else:
            operator = ConsoleOperator(file.operator.name, input=sys.stdin, output=sys.stderr)
        pump = stack.enter_context(
            Pump.open(
                port(file.pump.port),
                clock=clock,
                io_clock=io_clock,
                journal=journal,
                expect_serial=file.pump.serial_number,
                key=keys,
                host_nonce=random.Random(f"{seed}/host nonce").getrandbits(64) if simulated is not None else None,
            )
        )
        return Rig(
            file, model, seed, clock, io_clock, pump, balance, environment, operator, simulated,
            _closing=stack.pop_all(),
        )  # fmt: skip


def _keys_of(rig: str | Path, key: str | None) -> KeySource | None:
    """Where the key of a real pump is kept, None for this user's own file; a relative path begins at the rig file."""
    if key is None:
        return None
    return KeyringStore() if key == KEYRING_NAME else KeyFile(Path(rig).parent / key)


def _beside(rig: str | Path, scenario: str) -> str:
    """A scenario named by a relative path lies beside the rig file."""
    return str(Path(rig).parent / scenario) if scenario.endswith(".toml") else scenario
