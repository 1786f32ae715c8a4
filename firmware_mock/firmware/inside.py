"""The parts of a pump's firmware, for those who watch it from outside and change nothing."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.power import Power
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.upkeep import Upkeep
from firmware_mock.firmware.watchdog import Watchdog
from firmware_mock.physics.battery import Battery
from firmware_mock.world import World
from protocol.profile import ModelProfile


@dataclass(frozen=True, slots=True)
class Inside:
    """What of it a watcher needs."""

    world: World
    profile: ModelProfile
    clock: DeviceClock
    battery: Battery
    motor: Motor
    nvram: Nvram
    power: Power
    watchdog: Watchdog
    accounts: Accounts
    therapy: Therapy
    upkeep: Upkeep
