"""Mutants of what is delivered and counted, and of what turns the motor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs

from firmware_mock.firmware import motor as motor_module
from firmware_mock.firmware import watchdog
from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.alarms import Alarms
from firmware_mock.firmware.dosing import Dosing
from firmware_mock.firmware.lease import ControlLease
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.pump import PumpFirmware
from firmware_mock.firmware.readings import Readings
from firmware_mock.firmware.stall_watch import StallWatch
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.watchdog import Watchdog
from firmware_mock.physics.head import FRACTION_BITS
from mutating.mutant import of
from protocol import Alarm


def _faster(share: float) -> Any:
    return lambda original, motor, ticks, *rest: original(motor, max(1, round(ticks * share)), *rest)


def _with_basal(original: Any, therapy: Therapy, run: Any) -> None:
    basal = therapy._nvram.memory.therapy
    if basal is not None:
        run = replace(run, step_ticks=round(1 / (1 / run.step_ticks + 1 / basal.step_ticks)))
    original(therapy, run)


def _counts_commands(motor: Motor) -> int:
    head = motor._head.counted_steps(motor._world.now_ns)
    return motor._counted_before + head + motor._missed_before + _missed(motor, head)


def _missed(motor: Motor, head: int) -> int:
    if not motor._period_ps:
        return 0
    due = (motor._world.now_ns - motor._began_ns) * 1000 // motor._period_ps
    return max(0, due - (motor._counted_before + head + motor._missed_before - motor._began_at_steps))


def _keeps_turning(original: Any, therapy: Therapy) -> None:
    memory = therapy._nvram.memory
    original(therapy)
    if memory.therapy is not None:
        therapy._motor.run(memory.therapy.step_ticks)


def _halts_late(original: Any, therapy: Therapy) -> None:
    run = therapy._nvram.memory.under_way
    original(therapy)
    if run is not None and run.step_ticks:
        motor: Any = therapy._motor
        motor._head.run(motor._clock.true_ps(run.step_ticks))
        motor._world.after(3.0, motor._head.halt)


def _springs_back(original: Any, motor: Motor) -> None:
    original(motor)
    if motor.steps > 1_000:
        motor._head._start_position -= 5 << FRACTION_BITS


def _aligns(original: Any, motor: Motor, step_ticks: int, *rest: Any) -> Any:
    if motor.steps > 1_000:
        motor._head._start_position -= 3 << FRACTION_BITS
    return original(motor, step_ticks, *rest)


def _stands_while_it_hears(original: Any, pump: PumpFirmware, data: bytes) -> None:
    original(pump, data)
    motor: Any = pump._motor
    if motor.period_ps:
        motor._head._start_ns += 40_000_000 if motor._head._start_ns + 40_000_000 <= motor._world.now_ns else 0


def _halts_when_asked(original: Any, pump: PumpFirmware, data: bytes) -> None:
    original(pump, data)
    if pump._motor.period_ps:
        pump._motor.halt()
        pump._world.after(0.01, pump._therapy.resume)


def _speeds_up(original: Any, lease: ControlLease) -> None:
    original(lease)
    therapy = lease._nvram.memory.therapy
    if therapy is not None:
        lease._therapy._motor.run(therapy.step_ticks // 2)


def _commits_what_waits(original: Any, lease: ControlLease) -> None:
    if (pending := lease._tokens._pending) is not None:
        pending.plan.carry_out(pending.proposal.token)
    original(lease)


def _repeats(original: Any, dosing: Dosing, commit: Any) -> Any:
    answer = original(dosing, commit)
    run = dosing._nvram.memory.bolus
    if run is not None:
        again = replace(run, command_id=run.command_id + 1)
        dosing._therapy._motor._world.after(900.0, lambda: dosing._therapy.start_bolus(again))
    return answer


def _feeds_nobody(original: Any, it: Watchdog) -> None:
    it._bite = it._world.after(1e9, it._bites)


def _bites_without_motor(original: Any, it: Watchdog) -> None:
    it._bite = it._world.after(watchdog.TIMEOUT_S, lambda: None)


def _takes_no_heed(original: Any, it: Watchdog) -> None:
    it._bite = it._world.after(watchdog.TIMEOUT_S * 0.99, it._bites)
    it._motor.run(1_000)


MUTANTS = (
    of("SP-03", "dosing", "The step timer runs at twice the rate.", (Motor, "run", _faster(0.5))),
    of("SP-03", "dosing", "A bolus is given at three times its rate.", (Motor, "run_steps", _faster(1 / 3))),
    of("SP-04", "dosing", "The step timer runs at half the rate.", (Motor, "run", _faster(2.0))),
    of("SP-04", "dosing", "A bolus is given at a quarter of its rate.", (Motor, "run_steps", _faster(4.0))),
    of("SP-05", "dosing", "The basal rate is added to that of a bolus.", (Therapy, "start_bolus", _with_basal)),
    of(
        "SP-05",
        "limits",
        "A period is rounded below the shortest.",
        (motor_module, "realised_ul_per_h", lambda original, ticks, nl: original(ticks, nl)),
        (Motor, "run", _faster(0.9)),
    ),
    of(
        "SP-07",
        "calibrated",
        "Volumes are told with the nominal step volume.",
        (Accounts, "step_volume_ul", property(lambda it: 0.01)),
    ),
    of(
        "SP-07",
        "calibrated",
        "A calibration changes the volume of steps made before.",
        (
            Accounts,
            "calibrated",
            lambda original, it, nl: replace(
                it._nvram.memory, step_volume_nl=nl, generation=it._nvram.memory.generation + 1
            ),
        ),
    ),
    of(
        "SP-07",
        "dosing",
        "Status tells a stale volume.",
        (Readings, "status", lambda original, it, request: structs.replace(original(it, request), delivered_ul=0.0)),
    ),
    of(
        "SP-08",
        "dosing",
        "Delivered wraps at 12 bits of steps.",
        (
            Accounts,
            "delivered_ul",
            property(lambda it: (it._motor.steps - it._delivered_at_steps) % 4_096 * it.step_volume_ul),
        ),
    ),
    of(
        "SP-08",
        "emptied",
        "The reservoir is told below zero.",
        (
            Accounts,
            "reservoir_ul",
            property(
                lambda it: (
                    it._nvram.memory.reservoir_ul
                    - (it._motor.steps + 100_000 - it._nvram.memory.reservoir_at_steps) * it.step_volume_ul
                )
            ),
        ),
    ),
    of(
        "SP-09",
        "stalled",
        "Steps missed in a stall are not told.",
        (Motor, "commanded_steps", property(lambda it: it.steps)),
    ),
    of(
        "SP-09",
        "stalled",
        "A known stall is not in the status.",
        (
            Readings,
            "status",
            lambda original, it, request: structs.replace(
                (told := original(it, request)), alarms=Alarm(told.alarms) & ~Alarm.MOTOR_STALL
            ),
        ),
    ),
    of(
        "SP-13",
        "slipping",
        "The encoder is not compared with the timer.",
        (Alarms, "active", lambda original, it: original(it) & ~Alarm.OVER_INFUSION),
    ),
    of("SP-15", "dosing", "STOP ends the commands, and the therapy turns on.", (Therapy, "stop", _keeps_turning)),
    of("SP-15", "dosing", "The motor runs on for three seconds after STOP.", (Therapy, "stop", _halts_late)),
    of("SP-18", "dosing", "The rotor springs back when it loses its holding current.", (Motor, "halt", _springs_back)),
    of("SP-18", "dosing", "The motor is aligned backwards before it runs.", (Motor, "run", _aligns)),
    of("SP-19", "stalled", "Nobody looks at the encoder.", (StallWatch, "watch", lambda original, it: None)),
    of(
        "SP-19",
        "stalled",
        "Every second look is skipped, and one more.",
        (
            StallWatch,
            "_check_from",
            lambda original, it, began, instant: original(it, began, instant) + 2 * it._interval_ns,
        ),
    ),
    of("SP-20", "stalled", "The steps of the timer are counted.", (Motor, "steps", property(_counts_commands))),
    of(
        "SP-20",
        "stalled",
        "What a stall missed is counted when it is over.",
        (
            Motor,
            "steps",
            property(lambda it: it._counted_before + it._head.counted_steps(it._world.now_ns) + it._missed_before),
        ),
    ),
    of("SP-25", "hanging", "The watchdog is never fed and never bites.", (Watchdog, "starve", _feeds_nobody)),
    of("SP-25", "hanging", "The watchdog bites and nothing comes of it.", (Watchdog, "starve", _bites_without_motor)),
    of("SP-25", "hanging", "The step timer races while the main loop hangs.", (Watchdog, "starve", _takes_no_heed)),
    of("SP-39", "silent", "When the lease runs out the pump doubles its rate.", (ControlLease, "_run_out", _speeds_up)),
    of(
        "SP-39",
        "silent",
        "What waits is carried out when the lease runs out.",
        (ControlLease, "_run_out", _commits_what_waits),
    ),
    of("SP-39", "silent", "A bolus is given again when nobody has asked for long.", (Dosing, "commit", _repeats)),
    of(
        "SP-40",
        "flooded",
        "The step timer waits while bytes are read.",
        (PumpFirmware, "_receive", _stands_while_it_hears),
    ),
    of("SP-40", "flooded", "The motor is halted for each request.", (PumpFirmware, "_receive", _halts_when_asked)),
)
