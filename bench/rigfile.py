"""Rig files: the facts of one station, read from TOML and validated in one pass."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from bench.toml_file import Table, find, parse

TEST_KEY_NAME = "test"
KEYRING_NAME = "keyring"


class HeadThermometer(Table):
    """The pump-head thermometer: the reference temperature of the volume rests on it."""

    certificate: str
    due: datetime.date
    standard_uncertainty_k: float = Field(gt=0)


class PumpFacts(Table):
    """`key` says where the pump's key is kept: a file, or "keyring" for the system's; this user's own file without it.

    "test" gives a simulated pump the public test key.
    """

    model: str
    port: str
    serial_number: str
    key: str | None = Field(default=None, min_length=1)
    head_thermometer: HeadThermometer


class BalanceCertificate(Table):
    number: str
    due: datetime.date
    sensitivity_standard_uncertainty_ppm: float = Field(gt=0)
    linearity_standard_uncertainty_mg: float = Field(gt=0)


class BalanceFacts(Table):
    make: str
    model: str
    dialect: Literal["mt-sics"]
    port: str
    serial_number: str
    capacity_g: float = Field(gt=0)
    readability_mg: float = Field(gt=0)
    certificate: BalanceCertificate


class EnvironmentCertificate(Table):
    number: str
    due: datetime.date
    temperature_standard_uncertainty_k: float = Field(gt=0)
    humidity_standard_uncertainty_pct: float = Field(gt=0)
    pressure_standard_uncertainty_hpa: float = Field(gt=0)


class EnvironmentFacts(Table):
    make: str
    model: str
    dialect: Literal["vaisala-ptu300"]
    port: str
    serial_number: str
    certificate: EnvironmentCertificate


class CheckWeight(Table):
    """The weight put on the pan before and after; `tolerance_mg` bounds what the balance may show off its mass."""

    certificate: str
    due: datetime.date
    conventional_mass_g: float = Field(gt=0)
    standard_uncertainty_mg: float = Field(gt=0)
    tolerance_mg: float = Field(gt=0)


class Tubing(Table):
    lot: str
    hours: float = Field(ge=0)
    material: str
    trapped_volume_ul: float = Field(ge=0)
    trapped_standard_uncertainty_ul: float = Field(ge=0)
    wall_expansion_per_k: float = Field(ge=0)
    time_constant_s: float = Field(gt=0)


class Liquid(Table):
    name: Literal["water, degassed", "water, air-saturated"]
    relative_density_standard_uncertainty: float = Field(gt=0)


class Vessel(Table):
    inner_diameter_mm: float = Field(gt=0)
    diameter_standard_uncertainty_mm: float = Field(gt=0)
    capacity_ml: float = Field(gt=0)
    contents_ml: float = Field(ge=0)
    glass_volume_ml: float = Field(gt=0)
    glass_mass_g: float = Field(gt=0)
    cover: Literal["oil film", "evaporation trap", "open"]
    air_column_mm: float = Field(gt=0)
    evaporation_mg_per_h: float = Field(ge=0)

    @model_validator(mode="after")
    def _holds_its_contents(self) -> Vessel:
        if self.contents_ml > self.capacity_ml:
            raise ValueError(f"contents_ml = {self.contents_ml} exceeds capacity_ml = {self.capacity_ml}")
        return self


class Outlet(Table):
    kind: Literal["immersed", "wick", "drop"]
    needle_diameter_mm: float = Field(gt=0)
    needle_standard_uncertainty_mm: float = Field(gt=0)
    meniscus_jump_mg: float = Field(ge=0)
    meniscus_pitch_um: float = Field(gt=0)
    drop_volume_ul: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _a_drop_has_a_volume(self) -> Outlet:
        if (self.kind == "drop") != (self.drop_volume_ul is not None):
            raise ValueError('kind = "drop" needs drop_volume_ul, the other kinds must not have it')
        return self


class OperatorFacts(Table):
    kind: Literal["console", "remote"]
    name: str = Field(min_length=1)
    approves: bool | None = None
    port: str | None = None

    @model_validator(mode="after")
    def _remote_has_a_port(self) -> OperatorFacts:
        remote = self.kind == "remote"
        if remote != (self.port is not None) or remote != (self.approves is not None):
            raise ValueError('kind = "remote" needs port and approves, kind = "console" must have neither')
        return self


class SimulationFacts(Table):
    """Only in rig files whose ports are `sim:`: which truth, and which day it plays on."""

    scenario: str
    seed: int = Field(default=1, ge=0)
    date: datetime.date


class ServedFacts(Table):
    """Only for a mock that is served: virtual seconds that pass in one wall second, and the day it plays on."""

    speed: float = Field(gt=0)
    date: datetime.date


class RigFile(Table):
    """A validated rig file."""

    name: str
    default_plan: str
    pump: PumpFacts
    balance: BalanceFacts
    environment: EnvironmentFacts
    check_weight: CheckWeight
    tubing: Tubing
    liquid: Liquid
    vessel: Vessel
    outlet: Outlet
    operator: OperatorFacts
    simulation: SimulationFacts | None = None
    served: ServedFacts | None = None

    @model_validator(mode="after")
    def _simulated_or_not(self) -> RigFile:
        ports = [self.pump.port, self.balance.port, self.environment.port]
        if self.operator.port is not None:
            ports.append(self.operator.port)
        simulated = {port.startswith("sim:") for port in ports}
        if simulated == {True, False}:
            raise ValueError("either all ports begin with sim: or none does")
        if (simulated == {True}) != (self.simulation is not None):
            raise ValueError("[simulation] belongs to a rig file whose ports begin with sim:, and only there")
        if self.pump.key is not None and (self.pump.key == TEST_KEY_NAME) != (self.simulation is not None):
            raise ValueError(
                '[pump] key = "test" belongs to a rig file whose ports begin with sim:, and only there; a real pump '
                "gets a key of its own from thecabench pair"
            )
        if self.outlet.needle_diameter_mm >= self.vessel.inner_diameter_mm:
            raise ValueError(
                "the needle is wider than the vessel: [outlet] needle_diameter_mm, [vessel] inner_diameter_mm"
            )
        return self

    @property
    def is_simulated(self) -> bool:
        """Whether the mock stands behind it, in process or served."""
        return self.simulation is not None or self.served is not None


def load_rig_file(name_or_path: str | Path) -> tuple[RigFile, str]:
    """A rig file by path, or by the name of a shipped one; with its text, for the run's folder.

    Raises:
        FileError: no such file, not TOML, or faults in it; all are named at once.
    """
    source, text = find(name_or_path, shipped_in="rigs")
    return parse(RigFile, text, source), text
