"""What every simulated pump is made of, whatever stands behind it: head, motor, clock, battery, firmware."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.pump import PumpFirmware
from firmware_mock.physics.battery import Battery, battery_of
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.head import Head
from firmware_mock.physics.reservoir import Reservoir
from firmware_mock.physics.service_life import S_PER_DAY
from firmware_mock.physics.thermostat import HeadThermometer, Thermostat
from firmware_mock.ports import Port
from firmware_mock.world import World
from protocol.profile import Metering, ModelProfile, load_model, model_names

NO_RIG: Mapping[str, Any] = {"pump": {"head_thermometer": {"standard_uncertainty_k": 0.0}}}
"""The facts of a pump that stands on no rig: its thermometer is right."""


@dataclass(frozen=True, slots=True)
class PumpParts:
    """The pump without its firmware. `filled_ul` is what it was told at the last refill, not what is in it.

    `served_s` is how long it had been implanted when the world begins.
    """

    profile: ModelProfile
    head: Head
    clock: DeviceClock
    battery: Battery
    motor: Motor
    thermometer: HeadThermometer
    filled_ul: float
    served_s: float

    def powered_up(
        self, world: World, port: Port, *, serial_number: str, starts_utc_s: int, key: bytes | None = None
    ) -> PumpFirmware:
        """Its firmware, at the end of a port."""
        return PumpFirmware(
            world,
            port,
            self.profile,
            self.motor,
            self.clock,
            self.battery,
            self.thermometer,
            serial_number=serial_number,
            filled_ul=self.filled_ul,
            starts_utc_s=starts_utc_s,
            key=key,
            served_s=self.served_s,
        )


def pump_parts(
    world: World,
    profile: ModelProfile,
    effects: PumpEffects,
    rig: Mapping[str, Any],
    *,
    motor: Callable[[World, Head, Battery, DeviceClock], Motor] = Motor,
) -> tuple[PumpParts, Reservoir]:
    """The parts by the scenario's `[pump]` table, and the reservoir with what is really in it."""
    thermostat = Thermostat(world, profile.head_temperature_c, effects)
    head = Head(world, profile, effects, thermostat)
    clock = DeviceClock(world, effects)
    battery = battery_of(profile, effects.battery_used_pct)
    filled_ul = profile.reservoir_volume_ul * effects.reservoir_fill_pct / 100.0
    parts = PumpParts(
        profile,
        head,
        clock,
        battery,
        motor(world, head, battery, clock),
        HeadThermometer(world, thermostat, rig),
        filled_ul,
        S_PER_DAY * effects.implanted_days_before,
    )
    return parts, Reservoir(filled_ul * (1.0 + effects.reservoir_overfill_pct / 100.0))


def simulated_model(model: str, where: str, error: type[ValueError]) -> ModelProfile:
    """The profile of a model that can be simulated; `where` says which key of which file names it.

    Raises:
        ProfileError: the model's file is missing or wrong.
        `error`: there is no simulation of such a pump.
    """
    profile = load_model(model)
    if profile.metering is not Metering.PERISTALTIC:
        simulated = [name for name in model_names() if load_model(name).metering is Metering.PERISTALTIC]
        raise error(
            f'{where} = "{model}" cannot be simulated: its metering is {profile.metering}, and only '
            f"{Metering.PERISTALTIC} pumps are; take one of {', '.join(simulated)}"
        )
    return profile
