"""What a fault does to the device itself."""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.faults.armed import Afflicted, Armed
from firmware_mock.faults.kinds import FaultKind
from firmware_mock.firmware.watchdog import TIMEOUT_S
from firmware_mock.world import World, to_ns

LONGEST_WRITE_NS = 60_000_000


def strike(armed: Armed, pump: Afflicted, world: World, acted: Callable[[], None]) -> None:
    """Do it; `acted` is called as soon as it changes something, which may be later than now.

    Raises:
        ValueError: the fault is of a kind that is nothing to the device.
    """
    fault = armed.fault

    def begins(lasts_s: float) -> None:
        armed.until_ns = world.now_ns + to_ns(lasts_s)
        acted()

    match fault.kind:
        case FaultKind.BROWN_OUT:
            acted()
            for _ in range(fault.amount):
                world.after(armed.stream.random() * fault.duration_s, lambda: pump.reset(0.001))
        case FaultKind.POWER_CUT:
            delay_ns = fault.seed % LONGEST_WRITE_NS
            pump.cut_power(fault.amount, fault.duration_s, delay_ns, lambda: begins(fault.duration_s))
        case FaultKind.STUCK_MOTOR:
            if pump.stall():
                acted()
        case FaultKind.NVRAM_ROT:
            pump.rot(fault.amount, fault.duration_s, armed.stream)
            acted()
        case FaultKind.WATCHDOG:
            pump.hang(fault.amount, fault.duration_s, lambda: begins(TIMEOUT_S + fault.duration_s))
        case _:
            raise ValueError(f"a fault of kind {fault.kind} cannot be set off on a line")
