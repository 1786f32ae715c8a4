"""A pump head on a line in a room whose air the test commands."""

import copy
import tomllib
from dataclasses import dataclass, field
from importlib import resources

import pytest

from firmware_mock import World
from firmware_mock.physics.effects import LineEffects, PumpEffects
from firmware_mock.physics.head import Head
from firmware_mock.physics.line import Line
from firmware_mock.physics.reservoir import Reservoir
from firmware_mock.physics.thermostat import Thermostat
from protocol.profile import load_model


@dataclass
class StubRoom:
    """Air that changes when the test says so, at an instant."""

    temperatures: list = field(default_factory=lambda: [(0, 20.0)])
    pressures: list = field(default_factory=lambda: [(0, 1013.25)])

    def temperature_c(self, t_ns):
        return [value for since_ns, value in self.temperatures if since_ns <= t_ns][-1]

    def pressure_hpa(self, t_ns):
        return [value for since_ns, value in self.pressures if since_ns <= t_ns][-1]


@dataclass
class Flow:
    world: World
    head: Head
    line: Line
    reservoir: Reservoir
    room: StubRoom

    def run(self, rate_ul_per_h):
        """Turn at a rate, by the nominal step of 10 nL."""
        self.head.run(round(10e-3 / rate_ul_per_h * 3600e12))

    def out_mg(self):
        return self.line.mass_out_mg(self.world.now_ns)

    def pumped_mg(self):
        return self.line.pumped_mg(self.world.now_ns)

    def pressure_hpa(self):
        return self.line.pressure_hpa(self.world.now_ns)

    def truth(self):
        self.world.close()
        return self.world.ledger.open()


@pytest.fixture(scope="session")
def profile():
    return load_model("implantable-20ml")


@pytest.fixture(scope="session")
def exact_rig():
    """The shipped rig, its trapped volume known exactly."""
    rig = tomllib.loads((resources.files("hw_configs") / "rigs" / "sim.toml").read_text(encoding="utf-8"))
    rig["tubing"]["trapped_standard_uncertainty_ul"] = 0.0
    return rig


@pytest.fixture
def flow(profile, exact_rig):
    """Builds head, line and reservoir with the effects a test wants; everything else is at rest."""

    def build(*, seed=0, contents_ul=20_000.0, tubing=None, line=None, room=None, **pump):
        world = World(seed=seed)
        rig = copy.deepcopy(exact_rig)
        rig["tubing"].update(tubing or {})
        effects = PumpEffects(**pump)
        head = Head(world, profile, effects, Thermostat(world, profile.head_temperature_c, effects))
        reservoir = Reservoir(contents_ul)
        room = room or StubRoom()
        return Flow(world, head, Line(world, head, reservoir, room, rig, LineEffects(**line or {})), reservoir, room)

    return build
