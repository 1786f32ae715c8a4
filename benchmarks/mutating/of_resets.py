"""Mutants of what is remembered: through a reset, without power, in the log, and by the clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from firmware_mock.firmware import image, nvram
from firmware_mock.firmware.alarms import Alarms
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.logs import Logs
from firmware_mock.firmware.memory import Memory, Run
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.outcomes import Outcomes
from firmware_mock.firmware.pump import PumpFirmware
from firmware_mock.firmware.therapy import Therapy
from mutating.mutant import of
from protocol import Alarm


def _rest_given(original: Any, therapy: Therapy, boot_id: int, low_steps: int, high_steps: int) -> None:
    bolus = therapy._nvram.memory.bolus
    original(therapy, boot_id, low_steps, high_steps)
    left = bolus and bolus.counted(low_steps, high_steps)
    if left and left.steps:
        motor = therapy._motor
        motor._world.after(0.001, lambda: motor.run_steps(left.step_ticks, left.steps, therapy.resume))


def _still_under_way(original: Any, therapy: Therapy, boot_id: int, *steps: int) -> None:
    memory = therapy._nvram.memory
    if memory.bolus is None:
        original(therapy, boot_id, *steps)
    else:
        therapy._nvram.write(replace(memory, boot_id=boot_id))


def _begun_afresh(original: Any, therapy: Therapy, *arguments: Any) -> None:
    bolus = therapy._nvram.memory.bolus
    original(therapy, *arguments)
    if bolus is not None:
        therapy._motor._world.after(0.5, lambda: therapy.start_bolus(bolus))


def _not_told(original: Any, outcomes: Outcomes, memory: Memory, *ended: Any) -> None:
    original(outcomes, memory, *(it for it in ended if it.state.name != "INTERRUPTED"))


def _defaults(original: Any, it: Nvram) -> None:
    before = it.memory
    original(it)
    if it.is_lost:
        it.is_lost = False
        it.write(replace(before, last_command_id=0, therapy=None, bolus=None, results=(), stood_since_us=0))


def _any_image(original: Any, slot: bytes | bytearray) -> int:
    return int.from_bytes(slot[:4], "little")


def _runs_all_the_same(original: Any, pump: PumpFirmware, *arguments: Any) -> None:
    original(pump, *arguments)
    if pump._nvram.is_lost:
        pump._world.after(0.1, lambda: pump._motor.run(36_000))


def _wraps(original: Any, clock: DeviceClock) -> int:
    return int(original(clock)) % (1 << 32)


def _same_boot(original: Any, pump: PumpFirmware) -> int:
    return 1


def _backwards(original: Any, logs: Logs, code: Any, argument: int) -> Any:
    clock: Any = logs._clock
    if clock.now_us() < 2_000_000:
        return original(logs, code, argument)
    clock._reset_ns += 1_500_000_000
    try:
        return original(logs, code, argument)
    finally:
        clock._reset_ns -= 1_500_000_000


MUTANTS = (
    of("SP-23", "rotten", "With both slots bad the pump begins anew.", (Nvram, "start", _defaults)),
    of(
        "SP-23",
        "rotten",
        "A slot is whole whatever its CRC says.",
        (image, "generation_of", _any_image),
        (nvram, "generation_of", _any_image),
    ),
    of(
        "SP-23",
        "rotten",
        "Lost memory is no alarm.",
        (Alarms, "active", lambda original, it: original(it) & ~Alarm.MEMORY_ERROR),
    ),
    of(
        "SP-23",
        "rotten",
        "With its memory lost the pump runs at a rate of its own.",
        (PumpFirmware, "_boot", _runs_all_the_same),
    ),
    of("SP-26", "power", "Nothing is recorded of a bolus that a reset ends.", (Outcomes, "write", _not_told)),
    of(
        "SP-26",
        "power",
        "No steps are reserved before they are made.",
        (Nvram, "_reserved_from", lambda original, it, memory, steps: steps),
    ),
    of(
        "SP-26",
        "power",
        "After a loss of power all that was reserved is told as made.",
        (Nvram, "step_counts", lambda original, it: (original(it)[1],) * 2),
    ),
    of(
        "SP-26",
        "power",
        "What is in doubt after a loss of power is told as not made.",
        (Run, "counted", lambda original, run, low, high: original(run, low, low)),
    ),
    of("SP-27", "power", "The rest of a bolus is given after a reset.", (Therapy, "after_reset", _rest_given)),
    of("SP-27", "power", "A bolus is still under way after a reset.", (Therapy, "after_reset", _still_under_way)),
    of("SP-27", "power", "A bolus begins afresh after a reset.", (Therapy, "after_reset", _begun_afresh)),
    of("SP-36", "long", "Device time is of 32 bits.", (DeviceClock, "now_us", _wraps)),
    of("SP-36", "long", "The boot id does not go on.", (PumpFirmware, "_next_boot_id", _same_boot)),
    of("SP-36", "dosing", "Events are logged with a time that is past.", (Logs, "add_event", _backwards)),
    of(
        "SP-42",
        "cut_in_programming",
        "That the writing had begun is not looked at.",
        (Nvram, "programming_begun", lambda original, it: None),
    ),
    of(
        "SP-42",
        "cut_in_programming",
        "Interrupted programming is no alarm.",
        (Alarms, "_remembered", lambda original, it: original(it) & ~Alarm.PROGRAMMING_INTERRUPTED),
    ),
)
