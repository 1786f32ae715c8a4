"""The weighing side of a simulated station, with exact instruments unless a test wants their errors."""

import copy
import tomllib
from dataclasses import dataclass
from importlib import resources

import pytest

from firmware_mock.instruments.balance import Balance
from firmware_mock.instruments.mt_sics import MtSics
from firmware_mock.physics.environment import RoomAir
from firmware_mock.physics.vessel import Vessel
from firmware_mock.ports import Port
from firmware_mock.scenario import Scenario
from firmware_mock.world import NS_PER_S, World, to_ns


@dataclass
class Weighing:
    world: World
    air: RoomAir
    vessel: Vessel
    balance: Balance
    port: Port

    def weigh_mg(self, t_s):
        """The displayed weight at an instant, in mg."""
        self.world.now_ns = to_ns(t_s)
        return self.balance.display(self.world.now_ns).weight_mg

    def ask(self, command, *, for_s=0.3):
        """What the balance answers to a command line within some seconds."""
        self.world.sleep(0.0)
        self.port.host.write(command.encode() + b"\r\n")
        self.world.sleep(for_s)
        return self.port.host.read(0.0).decode()


@pytest.fixture
def rig_facts():
    """The shipped simulated rig."""
    return tomllib.loads((resources.files("hw_configs") / "rigs" / "sim.toml").read_text(encoding="utf-8"))


@pytest.fixture
def exact_rig_facts(rig_facts):
    """The same rig with certificates that leave no uncertainty."""
    facts = copy.deepcopy(rig_facts)
    certificate = facts["balance"]["certificate"]
    certificate["sensitivity_standard_uncertainty_ppm"] = certificate["linearity_standard_uncertainty_mg"] = 0.0
    for key in ("temperature_standard_uncertainty_k", "humidity_standard_uncertainty_pct"):
        facts["environment"]["certificate"][key] = 0.0
    facts["environment"]["certificate"]["pressure_standard_uncertainty_hpa"] = 0.0
    facts["liquid"]["relative_density_standard_uncertainty"] = 0.0
    facts["vessel"]["diameter_standard_uncertainty_mm"] = 0.0
    facts["outlet"]["needle_standard_uncertainty_mm"] = 0.0
    return facts


@pytest.fixture
def weighing(exact_rig_facts):
    """Builds a vessel on a balance: scenario tables, a constant inflow, and a rig file of choice."""

    def build(tables=None, *, inflow_mg_per_s=0.0, inflow_mg=None, rig=exact_rig_facts, seed=0):
        scenario = tables if isinstance(tables, Scenario) else Scenario("test", tables or {})
        world = World(seed=seed, scenario=scenario)
        air = RoomAir(world)
        vessel = Vessel(world, rig, air, inflow_mg or (lambda t_ns: inflow_mg_per_s * t_ns / NS_PER_S))
        balance = Balance(world, rig, air, vessel)
        port = Port(world, "balance")
        MtSics(world, port, balance)
        return Weighing(world, air, vessel, balance, port)

    return build
