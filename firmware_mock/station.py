"""A whole simulated station from a rig file: pump, line, vessel, balance, room, operator, and their cables."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firmware_mock.events import schedule_events
from firmware_mock.instruments.balance import Balance
from firmware_mock.instruments.check_weight import CheckWeight
from firmware_mock.instruments.mt_sics import MtSics
from firmware_mock.instruments.operator import Hand
from firmware_mock.instruments.thermohygrometer import Thermohygrometer
from firmware_mock.physics.certificates import rig_text
from firmware_mock.physics.effects import LineEffects, PumpEffects
from firmware_mock.physics.environment import RoomAir
from firmware_mock.physics.line import Line
from firmware_mock.physics.vessel import Vessel
from firmware_mock.physics.water import liquid_relative_density
from firmware_mock.ports import Port
from firmware_mock.pump_parts import pump_parts, simulated_model
from firmware_mock.scenario import Scenario
from firmware_mock.world import World
from protocol.messages import SERIAL_NUMBER_BYTES
from protocol.shipped import find_text

SCENARIO_TABLES = {"pump", "line", "balance", "vessel", "air", "operator"}
PORT_PREFIX = "sim:"
PORT_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
BALANCE_BAUD = 9600
ENVIRONMENT_BAUD = 4800


class StationError(ValueError):
    """The rig file cannot be simulated; the message names file, key and cure."""


def read_rig(name_or_path: str | Path) -> dict[str, Any]:
    """A rig file's facts, by path or by the name of a shipped one.

    Raises:
        StationError: there is no such file, it is not TOML, or it describes no simulated station.
    """
    source, text = find_text(name_or_path, "rigs")
    if text is None:
        raise StationError(f"{source}: there is no such rig file")
    try:
        rig = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StationError(f"{source}: not valid TOML: {error}") from error
    simulation = rig.get("simulation")
    if not isinstance(simulation, dict) or not isinstance(simulation.get("scenario"), str):
        raise StationError(
            f"{source}: not a rig for simulation: it has no [simulation] scenario; take hw_configs/rigs/sim.toml"
        )
    scenario = Path(simulation["scenario"])
    if scenario.suffix == ".toml" and not scenario.is_absolute():
        simulation["scenario"] = str(Path(name_or_path).parent / scenario)
    return rig


def world_for(rig: Mapping[str, Any], *, seed: int = 0) -> World:
    """A world with the scenario that the rig file names.

    Raises:
        ScenarioError: that scenario is missing or wrong.
    """
    return World(seed=seed, scenario=Scenario.load(rig["simulation"]["scenario"]))


class Station:
    """What stands on the bench. `ports` maps the names behind "sim:" in the rig file to the cables' ends.

    `key` is what the pump was paired with; without one it takes orders from everybody.
    """

    def __init__(self, rig: Mapping[str, Any], world: World, *, key: bytes | None = None) -> None:
        world.scenario.check_tables(SCENARIO_TABLES)
        effects = world.scenario.section("pump", PumpEffects)
        self.world = world
        self.ports: dict[str, Port] = {}
        profile = simulated_model(rig_text(rig, "pump", "model"), "rig file: [pump] model", StationError)

        self.air = RoomAir(world)
        parts, self.reservoir = pump_parts(world, profile, effects, rig)
        self.head = parts.head
        self.line = Line(
            world,
            self.head,
            self.reservoir,
            self.air,
            rig,
            world.scenario.section("line", LineEffects),
            relative_density=liquid_relative_density(world, rig),
        )
        self.vessel = Vessel(world, rig, self.air, self.line.mass_out_mg)

        self.firmware = parts.powered_up(
            world,
            self._port(rig, "pump"),
            serial_number=_serial_number(rig),
            starts_utc_s=_start_utc_s(rig),
            key=key,
        )
        self.balance = Balance(world, rig, self.air, self.vessel)
        MtSics(world, self._port(rig, "balance", baud=BALANCE_BAUD), self.balance)
        if "environment" in rig:
            Thermohygrometer(world, self._port(rig, "environment", baud=ENVIRONMENT_BAUD), rig, self.air)
        if "port" in rig.get("operator", {}):
            weight = CheckWeight(world, rig, self.vessel)
            Hand(world, self._port(rig, "operator"), rig, self.line.set_stopcock, weight.set_on_pan)
        schedule_events(world, self.ports, self.vessel, self.firmware, self.head)

    @classmethod
    def from_rig_file(cls, rig: str | Path | Mapping[str, Any], world: World, *, key: bytes | None = None) -> Station:
        """Build everything a rig file names (by path, shipped name, or already parsed) into a world.

        Raises:
            StationError: the file is missing or not for simulation, a port is not a simulated one, or there is no
                simulation of such a pump.
            ProfileError: the pump model's file is missing or wrong.
            RigFactMissing: the rig file does not state what the simulation needs.
            ScenarioError: the world's scenario has an unknown table, key or event, or a value out of range.
        """
        return cls(rig if isinstance(rig, Mapping) else read_rig(rig), world, key=key)

    def _port(self, rig: Mapping[str, Any], device: str, *, baud: int = 115_200) -> Port:
        address = rig_text(rig, device, "port")
        name = address.removeprefix(PORT_PREFIX)
        if name == address or not re.fullmatch(PORT_NAME, name):
            raise StationError(
                f'rig file: [{device}] port = "{address}" is not simulated; "{PORT_PREFIX}{device}" would be'
            )
        if name in self.ports:
            raise StationError(f'rig file: [{device}] port = "{address}" is taken by another device; name another')
        self.ports[name] = Port(self.world, name, baud=baud)
        return self.ports[name]


def _serial_number(rig: Mapping[str, Any]) -> str:
    serial_number = rig_text(rig, "pump", "serial_number")
    if len(serial_number.encode()) > SERIAL_NUMBER_BYTES:
        raise StationError(
            f'rig file: [pump] serial_number = "{serial_number}" is too long; {SERIAL_NUMBER_BYTES} bytes fit'
        )
    return serial_number


def _start_utc_s(rig: Mapping[str, Any]) -> int:
    """Midnight UTC of the day the simulation plays on, in seconds since 1970-01-01."""
    day = rig.get("simulation", {}).get("date")
    if not isinstance(day, datetime.date):
        raise StationError(f"rig file: [simulation] date is {day!r}; state the day it plays on: date = 2026-11-20")
    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC).timestamp())
