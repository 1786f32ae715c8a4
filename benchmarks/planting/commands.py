"""Bugs of the pump's firmware in what is no plain bolus: prime, bridge, flex therapy, patient's bolus, refill."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from bench.campaign.scoring import FindingKind
from firmware_mock.firmware.flex import FlexTimer
from firmware_mock.firmware.memory import Run
from firmware_mock.firmware.outcomes import Outcomes
from firmware_mock.firmware.settings import Settings
from firmware_mock.firmware.therapy import Therapy
from planting.bug import Swap, bug, instead
from protocol import CommandResult, CommandState, Mode, ProposeRefill


@bug(
    "bridge-begins-anew",
    "After a reset a bridge begins with its whole volume again.",
    "reboot",
    FindingKind.DOUBLE,
)
def bridge_begins_anew() -> Iterable[Swap]:
    def counted(original: Any, run: Run, *steps: int) -> Run:
        left: Run = original(run, *steps)
        return replace(left, steps=run.steps) if run.mode is Mode.BRIDGE else left

    yield instead(Run, "counted", counted)


@bug(
    "flex-outlives-stop",
    "STOP leaves the timer of a flex therapy, and its next step runs.",
    "host-suspend clock-jump",
    FindingKind.AFTER_STOP,
)
def flex_outlives_stop() -> Iterable[Swap]:
    def stop(original: Any, therapy: Therapy) -> None:
        run = therapy._nvram.memory.therapy
        original(therapy)
        if run is None or run.mode is not Mode.FLEX:
            return
        running_us, ticks = next(therapy.flex.changes_after(run, therapy._clock.running_us()))
        therapy._motor._world.at(therapy._clock.reaches_ns(running_us), lambda: therapy._motor.run(ticks))

    yield instead(Therapy, "stop", stop)


@bug("patient-bolus-anew", "After a reset a patient's bolus is given again, as a whole.", "reboot", FindingKind.DOUBLE)
def patient_bolus_anew() -> Iterable[Swap]:
    def after_reset(original: Any, therapy: Therapy, *arguments: Any) -> None:
        bolus = therapy._nvram.memory.bolus
        original(therapy, *arguments)
        if bolus is not None and bolus.mode is Mode.PATIENT_BOLUS and bolus.steps:
            steps = bolus.steps
            therapy._motor._world.after(
                0.001, lambda: therapy._motor.run_steps(bolus.step_ticks, steps, therapy.resume)
            )

    yield instead(Therapy, "after_reset", after_reset)


@bug("refill-anew", "After a reset the reservoir counts as filled then.", "reboot", FindingKind.DOUBLE)
def refill_anew() -> Iterable[Swap]:
    def after_reset(original: Any, therapy: Therapy, boot_id: int, low_steps: int, high_steps: int) -> None:
        original(therapy, boot_id, low_steps, high_steps)
        therapy._outcomes.write(replace(therapy._nvram.memory, reservoir_at_steps=high_steps))

    yield instead(Therapy, "after_reset", after_reset)


@bug(
    "refill-not-written",
    "A refill is answered and not written.",
    "flip",
    FindingKind.FALSE_DELIVERED,
)
def refill_not_written() -> Iterable[Swap]:
    def refill(original: Any, settings: Settings, command_id: int, token: int, volume_ul: float) -> None:
        original(settings, command_id, token, settings._nvram.memory.reservoir_ul)

    yield instead(Settings, "refill", refill)


@bug(
    "refill-taken-back",
    "A reset takes a refill back.",
    "reboot",
    FindingKind.FALSE_DELIVERED,
)
def refill_taken_back() -> Iterable[Swap]:
    filled_ul: dict[int, float] = {}

    def refill(original: Any, settings: Settings, *arguments: Any) -> None:
        filled_ul[id(settings._nvram)] = settings._nvram.memory.reservoir_ul
        original(settings, *arguments)

    def after_reset(original: Any, therapy: Therapy, *arguments: Any) -> None:
        original(therapy, *arguments)
        if (before_ul := filled_ul.pop(id(therapy._nvram), None)) is not None:
            therapy._outcomes.write(replace(therapy._nvram.memory, reservoir_ul=before_ul))

    yield instead(Settings, "refill", refill)
    yield instead(Therapy, "after_reset", after_reset)


@bug(
    "refill-told-stopped",
    "A refill that is written is told as stopped.",
    "flip",
    FindingKind.FALSE_NOT_DELIVERED,
)
def refill_told_stopped() -> Iterable[Swap]:
    def told(original: Any, outcomes: Outcomes, command_id: int) -> CommandResult:
        result: CommandResult = original(outcomes, command_id)
        kinds = {kept.command_id: kept.propose_type for kept in outcomes._nvram.memory.results}
        is_refill = kinds.get(command_id) == ProposeRefill.TYPE
        return msgspec.structs.replace(result, state=CommandState.STOPPED) if is_refill else result

    yield instead(Outcomes, "told", told)


@bug(
    "therapy-stays-down",
    "After a reset a bridge or flex therapy is told as running, and the motor stands.",
    "reboot",
    FindingKind.BASAL_LOST,
)
def therapy_stays_down() -> Iterable[Swap]:
    def after_reset(original: Any, therapy: Therapy, *arguments: Any) -> None:
        original(therapy, *arguments)
        run = therapy._nvram.memory.therapy
        if run is not None and run.mode in (Mode.BRIDGE, Mode.FLEX):
            therapy._motor._world.after(0.0, therapy._motor.halt)

    yield instead(Therapy, "after_reset", after_reset)


@bug(
    "bridge-cut-short",
    "A bridge goes over to the new drug's rate after half of the old drug's volume.",
    "flip",
    FindingKind.UNASKED,
)
def bridge_cut_short() -> Iterable[Swap]:
    def start(original: Any, therapy: Therapy, run: Run) -> None:
        original(therapy, replace(run, steps=run.steps // 2) if run.mode is Mode.BRIDGE and run.steps else run)

    yield instead(Therapy, "start", start)


@bug("flex-ahead", "A flex therapy runs at the rate of its next step.", "flip", FindingKind.UNASKED)
def flex_ahead() -> Iterable[Swap]:
    def at(original: Any, timer: FlexTimer, run: Run, running_us: int) -> Run:
        for _, ticks in timer.changes_after(run, running_us):
            return replace(run, step_ticks=ticks)
        return run

    yield instead(FlexTimer, "at", at)


@bug(
    "flex-stands-still",
    "The timer of a flex therapy never fires, so it keeps the rate that it was started at.",
    "host-suspend blocked-write late",
    FindingKind.UNASKED,
)
def flex_stands_still() -> Iterable[Swap]:
    yield instead(FlexTimer, "watch", lambda original, timer, run: None)


@bug("prime-too-fast", "A priming is given at the rate of a bolus.", "flip", FindingKind.UNASKED)
def prime_too_fast() -> Iterable[Swap]:
    def start_bolus(original: Any, therapy: Therapy, run: Run) -> None:
        original(therapy, replace(run, step_ticks=run.step_ticks * 9 // 10) if run.mode is Mode.PRIMING else run)

    yield instead(Therapy, "start_bolus", start_bolus)


COMMAND_BUGS = (
    bridge_begins_anew,
    bridge_cut_short,
    flex_outlives_stop,
    flex_ahead,
    flex_stands_still,
    therapy_stays_down,
    patient_bolus_anew,
    prime_too_fast,
    refill_anew,
    refill_not_written,
    refill_taken_back,
    refill_told_stopped,
)
