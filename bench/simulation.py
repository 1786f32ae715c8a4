"""The bridge to the mock: a station simulated in process, and the truth about it once it is closed.

And a pump's whole life in a body, whose truth is shown by design: no procedure takes part in that.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.simulate.life import Breakage, Life, Note, Outcome
from bench.toml_file import FileError
from driver.file_lock import LockHeld
from firmware_mock import Scenario, World
from firmware_mock.expectations import expectations, outcomes
from firmware_mock.implant import Implant
from firmware_mock.implant_events import schedule_implant_events
from firmware_mock.ledger import Truth
from firmware_mock.physics.certificates import RigFactMissing
from firmware_mock.scenario import ScenarioError
from firmware_mock.scenario_safety import N_PROPERTIES, SafetyWatch
from firmware_mock.station import Station, StationError

if TYPE_CHECKING:
    from driver.clock import Clock
    from driver.transport import Transport

SIM_PREFIX = "sim:"


class MemoryStorage:
    """A disk for the journal of a pump that lives as long as this process."""

    def __init__(self) -> None:
        self._files: dict[Path, bytearray] = {}
        self._holders: dict[Path, str] = {}

    def exists(self, path: Path) -> bool:
        return path in self._files

    def read(self, path: Path) -> bytes:
        return bytes(self._files[path])

    def write_and_sync(self, path: Path, offset: int, data: bytes) -> None:
        self._files.setdefault(path, bytearray())[offset : offset + len(data)] = data

    def lock(self, path: Path, holder: str) -> MemoryLock:
        if path in self._holders:
            raise LockHeld(self._holders[path])
        self._holders[path] = holder
        return MemoryLock(self._holders, path)


class MemoryLock:
    """A lock on a file of a `MemoryStorage`."""

    def __init__(self, holders: dict[Path, str], path: Path) -> None:
        self._holders = holders
        self._path: Path | None = path

    def release(self) -> None:
        if self._path is not None:
            del self._holders[self._path]
            self._path = None


def new_world(seed: int) -> World:
    """A world with nothing in it."""
    return World(seed=seed)


class SimulatedStation:
    """A world with the station that a rig file describes, reached through its ports alone; `key` is the pump's.

    Raises:
        FileError: the scenario is missing or wrong, or the rig file lacks what the simulation needs.
    """

    def __init__(self, rig_text: str, scenario: str, seed: int, key: bytes | None = None) -> None:
        try:
            self._world = World(seed=seed, scenario=Scenario.load(scenario))
            self._station = Station.from_rig_file(tomllib.loads(rig_text), self._world, key=key)
        except (ScenarioError, StationError, RigFactMissing) as error:
            raise FileError(str(error)) from error
        self._arrived = False
        for port in self._station.ports.values():
            port.on_arrival = self._note_arrival

    @property
    def clock(self) -> Clock:
        """Virtual time."""
        return self._world

    def transport(self, port: str) -> Transport:
        """The host's end of a `sim:` port."""
        return self._station.ports[port.removeprefix(SIM_PREFIX)].host

    def advance(self, until_s: float) -> None:
        """Let virtual time pass up to an instant, or until bytes arrive at any port."""
        self._arrived = False
        self._world.run_until(round(until_s * 1e9), until=lambda: self._arrived)

    def trace_hash(self) -> str:
        """SHA-256 over every event and wire byte so far."""
        return self._world.trace_hash()

    def close(self) -> None:
        """End the world; after this the truth may be asked for."""
        self._world.close()

    def truth(self) -> Truth:
        """The ledger's content.

        Raises:
            LedgerSealed: the world is not closed yet.
        """
        return self._world.ledger.open()

    def _note_arrival(self) -> None:
        self._arrived = True


def simulate_life(scenario: str, *, model: str | None = None, days: float | None = None, seed: int = 0) -> Life:
    """Run a scenario of a pump in a body; `model` and `days` take the place of its own.

    Raises:
        FileError: the scenario is missing or wrong, or it is not one of a pump in a body.
        ProfileError: the pump model's file is missing or wrong.
    """
    try:
        world = World(seed=seed, scenario=Scenario.load(scenario))
        implant = Implant(world, model=model, days=days)
        safety = SafetyWatch(implant)
        schedule_implant_events(implant)
        expectations(world.scenario)
        implant.run()
        is_its_own = model is None and (days is None or days == implant.scenario_days)
        seen = outcomes(world.scenario, implant.record) if is_its_own else []
    except ScenarioError as error:
        raise FileError(str(error)) from error
    record = implant.record
    return Life(
        scenario=world.scenario.name,
        about=world.scenario.about,
        sources=world.scenario.sources,
        model=implant.profile.name,
        days=implant.days,
        starts_on=implant.starts_on,
        seed=seed,
        is_its_own=is_its_own,
        columns={name: np.array(column, dtype=np.float64) for name, column in record.columns.items()},
        notes=tuple(Note(note.time_s, note.who, note.text) for note in record.notes),
        outcomes=tuple(Outcome(outcome.expected, outcome.seen, outcome.found) for outcome in seen),
        breakages=tuple(Breakage(it.identifier, it.sentence, it.why, it.first_s, it.how) for it in safety.finish()),
        properties_watched=N_PROPERTIES,
        conservation_error=implant.infusion.balance().error,
        trace_hash=world.trace_hash(),
    )
