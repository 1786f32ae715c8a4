"""Bugs of the pump's firmware: ids, tokens, memory, steps, the lease, and what follows a dose or a reset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from msgspec import structs

from bench.campaign.scoring import FindingKind
from firmware_mock.faults import LonePump
from firmware_mock.firmware import image, memory, nvram, step_journal
from firmware_mock.firmware.dosing import Dosing
from firmware_mock.firmware.lease import ControlLease
from firmware_mock.firmware.memory import Run
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.outcomes import Outcomes
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.tokens import Tokens
from planting.bug import Swap, bug, instead
from protocol import CommandResult, CommandResultRequest, CommandState, Commit, Stop

DOUBLE, NOT, OUTSIDE = FindingKind.DOUBLE, FindingKind.FALSE_NOT_DELIVERED, FindingKind.OUTSIDE
FALSE, OPEN, UNASKED = FindingKind.FALSE_DELIVERED, FindingKind.UNRESOLVED, FindingKind.UNASKED


@bug("volatile-ids", "A reset clears the memory of which commands were accepted.", "reboot drop-reply", NOT, OPEN)
def volatile_ids() -> Iterable[Swap]:
    def restart(original: Any, pump: LonePump) -> None:
        pump._firmware = pump.new_firmware()

    yield instead(LonePump, "restart", restart)


@bug(
    "results-by-4-bits",
    "The pump finds the result of a command by the low four bits of its id.",
    "evidence-lost",
    FALSE,
    OUTSIDE,
    OPEN,
)
def results_by_4_bits() -> Iterable[Swap]:
    def result(original: Any, outcomes: Outcomes, command_id: int) -> CommandResult:
        ended = outcomes._nvram.memory.results
        alike = [it.command_id for it in ended if it.command_id % 16 == command_id % 16]
        return structs.replace(original(outcomes, alike[-1] if alike else command_id), command_id=command_id)

    yield instead(Outcomes, "told", result)


@bug(
    "one-result-kept", "The pump remembers how the last command ended, and no other.", "second-host evidence-lost", OPEN
)
def one_result_kept() -> Iterable[Swap]:
    yield patch.object(memory, "RESULTS_KEPT", 1)


@bug(
    "motor-before-memory", "The motor starts before the dose is written to memory.", "power-cut", NOT, OUTSIDE, UNASKED
)
def motor_before_memory() -> Iterable[Swap]:
    def start_bolus(original: Any, therapy: Therapy, run: Run) -> None:
        motor: Any = therapy._motor
        motor.run_steps(run.step_ticks, run.steps, therapy._nvram.guarded(therapy._bolus_done))
        motor.run_steps = lambda *_: None
        try:
            original(therapy, run)
        finally:
            del motor.run_steps

    yield instead(Therapy, "start_bolus", start_bolus)


@bug(
    "answer-before-memory",
    "A COMMIT is answered, and the dose started, before it is written to memory.",
    "power-cut",
    NOT,
    OPEN,
    OUTSIDE,
)
def answer_before_memory() -> Iterable[Swap]:
    def write(original: Any, it: Nvram, image_: Any) -> None:
        it.memory = image_
        it._motor._world.after(0.02, it.guarded(lambda: original(it, it.memory)))

    yield instead(Nvram, "write", write)


@bug(
    "commit-by-token-alone",
    "A COMMIT counts by its token, which stays good, and its id is not looked at.",
    "duplicate late second-host",
    DOUBLE,
)
def commit_by_token_alone() -> Iterable[Swap]:
    def redeem(original: Any, it: Tokens, commit: Commit) -> Any:
        pending = it._pending
        try:
            return original(it, commit)
        finally:
            it._pending = pending

    def commit(original: Any, it: Dosing, message: Commit) -> CommandResult:
        if it._tokens.pending is not None and it._tokens.pending.token == message.token:
            it._tokens.redeem(message).carry_out(message.token)
        return it._outcomes.told(message.command_id)

    yield instead(Tokens, "redeem", redeem)
    yield instead(Tokens, "kill", lambda original, it: None)
    yield instead(Dosing, "commit", commit)


@bug(
    "forgotten-by-number",
    "Any id below the highest is told as forgotten, accepted or not.",
    "second-host stuck-line bit-rot",
    OPEN,
    quick=False,
)
def forgotten_by_number() -> Iterable[Swap]:
    def result(original: Any, outcomes: Outcomes, command_id: int) -> CommandResult:
        found: CommandResult = original(outcomes, command_id)
        is_low = found.state == CommandState.UNKNOWN and command_id <= outcomes._nvram.memory.last_command_id
        return structs.replace(found, state=CommandState.FORGOTTEN) if is_low else found

    yield instead(Outcomes, "told", result)


@bug("token-survives-question", "Asking for a command's result leaves its token good.", "late drop-request", NOT)
def token_survives_question() -> Iterable[Swap]:
    def result(original: Any, it: Dosing, request: CommandResultRequest) -> CommandResult:
        return it._outcomes.told(request.command_id)

    yield instead(Dosing, "result", result)


@bug("token-survives-stop", "STOP leaves a waiting token good.", "second-host", FindingKind.AFTER_STOP)
def token_survives_stop() -> Iterable[Swap]:
    def stop(original: Any, it: Dosing, message: Stop) -> Any:
        pending, it._tokens._pending = it._tokens._pending, None
        answer = original(it, message)
        it._tokens._pending = pending
        return answer

    yield instead(Dosing, "stop", stop)


@bug("token-never-expires", "A token is good for ever.", "late host-suspend", FindingKind.OVERDUE, quick=False)
def token_never_expires() -> Iterable[Swap]:
    def issue(original: Any, it: Tokens, plan: Any) -> Any:
        proposal = original(it, plan)
        assert it._pending is not None
        it._pending = replace(it._pending, expires_ns=1 << 62)
        return proposal

    yield instead(Tokens, "issue", issue)


@bug(
    "starts-at-proposal",
    "The dose starts at PROPOSE; COMMIT only confirms it.",
    "flip drop-request",
    FindingKind.OVERDUE,
    UNASKED,
    NOT,
)
def starts_at_proposal() -> Iterable[Swap]:
    def issue(original: Any, it: Tokens, plan: Any) -> Any:
        proposal = original(it, plan)
        plan.carry_out(proposal.token)
        return proposal

    yield instead(Tokens, "issue", issue)


@bug("no-reservation", "No steps are reserved before the motor makes them.", "power-cut", OUTSIDE)
def no_reservation() -> Iterable[Swap]:
    yield instead(Nvram, "_reserved_from", lambda original, it, memory_, steps: steps)


@bug("short-reservation", "A reservation ends five steps before its block.", "power-cut", OUTSIDE)
def short_reservation() -> Iterable[Swap]:
    yield instead(
        Nvram, "_reserved_from", lambda original, it, memory_, steps: max(steps, original(it, memory_, steps) - 5)
    )


@bug("cut-forgets-steps", "After a power cut all that was reserved is told as made.", "power-cut", OUTSIDE)
def cut_forgets_steps() -> Iterable[Swap]:
    yield instead(Nvram, "step_counts", lambda original, it: (original(it)[1],) * 2)


@bug("bounds-inverted", "The bounds of what was delivered change places.", "power-cut", OPEN, OUTSIDE)
def bounds_inverted() -> Iterable[Swap]:
    def result(original: Any, outcomes: Outcomes, run: Run, state: CommandState) -> Any:
        ended = original(outcomes, run, state)
        return replace(ended, delivered_low_ul=ended.delivered_high_ul, delivered_high_ul=ended.delivered_low_ul)

    yield instead(Outcomes, "of_counted", result)


@bug(
    "both-slots-erased",
    "Both slots are erased before the new image goes into one of them.",
    "power-cut",
    FindingKind.MEMORY_LOST,
)
def both_slots_erased() -> Iterable[Swap]:
    def write(original: Any, it: Nvram, image_: Any) -> None:
        for slot in it._slots:
            it._flash.erase(slot)
        original(it, image_)

    yield instead(Nvram, "write", write)


@bug("one-slot", "The image is rewritten in place, in one slot.", "power-cut", FindingKind.MEMORY_LOST)
def one_slot() -> Iterable[Swap]:
    def write(original: Any, it: Nvram, image_: Any) -> None:
        it._slots[1] = it._slots[0]
        original(it, image_)

    yield instead(Nvram, "write", write)


@bug("image-crc-ignored", "A slot is taken as whole whatever its CRC says.", "power-cut", FindingKind.UNHANDLED)
def image_crc_ignored() -> Iterable[Swap]:
    def generation_of(original: Any, slot: bytes | bytearray) -> int:
        return int.from_bytes(slot[:4], "little")

    yield instead(image, "generation_of", generation_of)
    yield instead(nvram, "generation_of", generation_of)


@bug(
    "generation-stands-still",
    "Every image has the same generation, so old reservations pass for new ones.",
    "power-cut",
    OUTSIDE,
    OPEN,
    NOT,
)
def generation_stands_still() -> Iterable[Swap]:
    def stored(original: Any, generation: int, *rest: Any) -> Any:
        return original(1, *rest)

    yield instead(nvram, "StoredImage", stored)


@bug(
    "id-not-written",
    "The highest command id lives in memory that a reset clears.",
    "reboot late",
    NOT,
    OPEN,
    DOUBLE,
    FindingKind.REFUSED,
)
def id_not_written() -> Iterable[Swap]:
    def start(original: Any, it: Nvram) -> None:
        original(it)
        it.memory = replace(it.memory, last_command_id=0, results=())

    yield instead(Nvram, "start", start)


@bug("bolus-resumes", "After a reset the rest of a bolus is given.", "reboot", UNASKED, DOUBLE)
def bolus_resumes() -> Iterable[Swap]:
    def after_reset(original: Any, therapy: Therapy, boot_id: int, low_steps: int, high_steps: int) -> None:
        bolus = therapy._nvram.memory.bolus
        original(therapy, boot_id, low_steps, high_steps)
        left = bolus and bolus.counted(low_steps, high_steps)
        if left and left.steps:
            therapy._motor._world.after(
                0.001, lambda: therapy._motor.run_steps(left.step_ticks, left.steps, therapy.resume)
            )

    yield instead(Therapy, "after_reset", after_reset)


@bug("bolus-never-ends", "A reset stops the motor and leaves the bolus as running.", "reboot", OPEN)
def bolus_never_ends() -> Iterable[Swap]:
    def after_reset(original: Any, therapy: Therapy, boot_id: int, low_steps: int, high_steps: int) -> None:
        therapy._outcomes.write(replace(therapy._nvram.memory, boot_id=boot_id))

    yield instead(Therapy, "after_reset", after_reset)


@bug("cut-is-certain", "After a power cut the reserved steps are not told as doubtful.", "power-cut", OUTSIDE)
def cut_is_certain() -> Iterable[Swap]:
    yield instead(Run, "counted", lambda original, run, low_steps, high_steps: original(run, low_steps, low_steps))


@bug("stall-not-seen", "A bolus is done when its last step is due, whatever the encoder saw.", "stuck-motor", FALSE)
def stall_not_seen() -> Iterable[Swap]:
    yield instead(Therapy, "_stalled", lambda original, therapy, run: False)


@bug("decay-not-counted", "Reservations that have decayed are taken as never made.", "nvram-rot", OUTSIDE, quick=False)
def decay_not_counted() -> Iterable[Swap]:
    yield instead(step_journal.StepJournal, "damaged_at_the_end", lambda original, it: 0)


@bug(
    "defaults-for-lost-memory",
    "With both slots bad the pump begins anew, as if it were new.",
    "nvram-rot",
    NOT,
    FALSE,
    OPEN,
)
def defaults_for_lost_memory() -> Iterable[Swap]:
    def start(original: Any, it: Nvram) -> None:
        before = it.memory
        original(it)
        if it.is_lost:
            it.is_lost = False
            it.write(replace(before, last_command_id=0, therapy=None, bolus=None, results=(), forgotten_command_id=0))

    yield instead(Nvram, "start", start)


@bug("inverted-suspend", "A bolus does not hand back to the therapy it suspended.", "flip", FindingKind.BASAL_LOST)
def inverted_suspend() -> Iterable[Swap]:
    def bolus_done(original: Any, therapy: Therapy) -> None:
        original(therapy)
        therapy._motor.halt()

    yield instead(Therapy, "_bolus_done", bolus_done)


@bug("basal-lost-at-reset", "After a reset the therapy is not taken up again.", "reboot", FindingKind.BASAL_LOST)
def basal_lost_at_reset() -> Iterable[Swap]:
    def after_reset(original: Any, therapy: Therapy, *arguments: Any) -> None:
        original(therapy, *arguments)
        therapy._outcomes.write(replace(therapy._nvram.memory, therapy=None))

    yield instead(Therapy, "after_reset", after_reset)


@bug("stop-hands-back", "STOP ends the bolus, and the therapy under it goes on.", "flip", FindingKind.AFTER_STOP)
def stop_hands_back() -> Iterable[Swap]:
    def stop(original: Any, therapy: Therapy) -> None:
        kept = therapy._nvram.memory.therapy
        original(therapy)
        if kept is not None:
            therapy._motor.run(kept.step_ticks)

    yield instead(Therapy, "stop", stop)


@bug(
    "counts-commands",
    "Volumes follow the steps that the timer asks for, not those the encoder sees.",
    "stuck-motor",
    FALSE,
    OUTSIDE,
)
def counts_commands() -> Iterable[Swap]:
    def steps(motor: Motor) -> int:
        period_ps = motor._period_ps
        due = (motor._world.now_ns - motor._began_ns) * 1000 // period_ps if period_ps else 0
        return motor._began_at_steps + due

    yield patch.object(Motor, "steps", property(steps))


@bug("lease-never-ends", "The control lease does not run out.", "second-host", FindingKind.REFUSED)
def lease_never_ends() -> Iterable[Swap]:
    def hold(original: Any, it: ControlLease, *arguments: Any) -> None:
        original(it, *arguments)
        assert it._held is not None
        it._held.end.cancel()

    yield instead(ControlLease, "_hold", hold)


@bug(
    "lease-not-checked",
    "The control lease is granted, and nobody is kept from dosing.",
    "second-host half-open",
    FindingKind.FOREIGN_LEASE,
)
def lease_not_checked() -> Iterable[Swap]:
    yield instead(ControlLease, "check", lambda original, it: None)


FIRMWARE_BUGS = (
    volatile_ids,
    id_not_written,
    results_by_4_bits,
    one_result_kept,
    motor_before_memory,
    answer_before_memory,
    starts_at_proposal,
    commit_by_token_alone,
    forgotten_by_number,
    token_survives_question,
    token_survives_stop,
    token_never_expires,
    no_reservation,
    short_reservation,
    cut_forgets_steps,
    cut_is_certain,
    bounds_inverted,
    both_slots_erased,
    one_slot,
    image_crc_ignored,
    generation_stands_still,
    bolus_resumes,
    bolus_never_ends,
    inverted_suspend,
    basal_lost_at_reset,
    stop_hands_back,
    counts_commands,
    stall_not_seen,
    decay_not_counted,
    defaults_for_lost_memory,
    lease_never_ends,
    lease_not_checked,
)
