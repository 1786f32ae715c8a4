"""Mutants of commands and limits, of the patient's button, and of the time of day."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs

from firmware_mock.firmware import proposals, tokens
from firmware_mock.firmware.dosing import Dosing
from firmware_mock.firmware.flex import FlexTimer, Programme
from firmware_mock.firmware.patient_bolus import PatientBoluses
from firmware_mock.firmware.proposals import Planner
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.tokens import Tokens
from mutating.mutant import of
from protocol import Mode, ProposePrime, ProposeRefill


def _commits_again(original: Any, it: Dosing, commit: Any) -> Any:
    if it._tokens._pending is not None and it._tokens._pending.proposal.token == commit.token:
        it._tokens.redeem(commit).carry_out(commit.token)
    return it._outcomes.told(commit.command_id)


def _keeps_token(original: Any, it: Tokens, commit: Any) -> Any:
    pending = it._pending
    try:
        return original(it, commit)
    finally:
        it._pending = pending


def _any_id(original: Any, it: Dosing, proposed: Any) -> Any:
    memory = it._nvram.memory
    it._nvram.memory = replace(memory, last_command_id=0)
    try:
        return original(it, proposed)
    finally:
        it._nvram.memory = memory


def _any_commit(original: Any, it: Dosing, commit: Any) -> Any:
    memory = it._nvram.memory
    if memory.bolus is None and it._tokens.pending is not None:
        it._nvram.memory = replace(memory, last_command_id=0)
    return original(it, commit)


def _burns(original: Any, it: Dosing, proposed: Any) -> Any:
    try:
        return original(it, proposed)
    except RefusedRequest:
        it._therapy.burn(proposed.command_id, 0)
        raise


def _below_only(original: Any, key: str, value: float, lowest: float, highest: float, unit: str) -> None:
    if not value >= lowest:
        original(key, value, lowest, highest, unit)


def _mended(original: Any, it: Planner, proposed: Any) -> Any:
    values = {key: 10.0 for key in proposed.__struct_fields__ if getattr(proposed, key) != getattr(proposed, key)}
    return original(it, structs.replace(proposed, **values))


def _no_token(original: Any, it: Tokens, commit: Any) -> Any:
    if it._pending is not None:
        commit = type(commit)(commit.command_id, it._pending.proposal.token, commit.digest)
        it._pending = replace(it._pending, proposal=_like(it._pending.proposal, commit))
    return original(it, commit)


def _like(proposal: Any, commit: Any) -> Any:
    return type(proposal)(commit.command_id, proposal.token, commit.digest, proposal.expires_in_ms, proposal.canonical)


def _rounds_up(original: Any, it: Planner, volume_ul: float) -> int:
    return int(original(it, volume_ul)) + 2


def _doubles(original: Any, it: Planner, proposed: Any) -> Any:
    plan = original(it, proposed)
    if not isinstance(proposed, ProposePrime):
        return plan
    twice = ProposePrime(proposed.command_id, 2.0 * proposed.volume_ul, proposed.rate_ul_per_h)
    return proposals.Plan(plan.canonical, original(it, twice).carry_out)


def _primes_on(original: Any, it: Therapy, run: Any) -> None:
    original(it, run)
    if run.mode is Mode.PRIMING:
        it._motor.run(run.step_ticks)


def _never_primed(original: Any, it: Therapy, run: Any) -> None:
    original(it, run)
    it._nvram.write(replace(it._nvram.memory, primed=False))


def _primed_forgets(original: Any, it: Therapy, *arguments: Any) -> None:
    original(it, *arguments)
    it._nvram.write(replace(it._nvram.memory, primed=False))


def _of_the_day(original: Any, it: PatientBoluses) -> Any:
    limits = it._nvram.memory.limits
    if limits is None or not limits.enabled or it._nvram.memory.therapy is None:
        return original(it)
    return limits


def _shorter_lockout(original: Any, it: PatientBoluses, limits: Any) -> int:
    return int(original(it, replace(limits, lockout_s=limits.lockout_s // 2)))


def _starts_lost(original: Any, it: Therapy, *arguments: Any) -> None:
    original(it, *arguments)
    it._nvram.write(replace(it._nvram.memory, patient_starts_us=()))


def _without_basal(original: Any, it: PatientBoluses, limits: Any, bolus: Any) -> None:
    original(it, replace(limits, window_limit_ul=limits.window_limit_ul * 1.6), bolus)


def _half_window(original: Any, it: PatientBoluses, limits: Any, bolus: Any) -> None:
    original(it, replace(limits, window_s=limits.window_s // 3), bolus)


def _utc(original: Any, it: Programme, local_us: int) -> int:
    return int(original(it, local_us - 3_600_000_000))


def _deaf_to_the_clock(original: Any, it: Therapy) -> None:
    if it._motor._world.now_ns % 60_000_000_000 < 1_000_000_000:
        original(it)


def _late(original: Any, it: FlexTimer, run: Any) -> None:
    original(it, run)
    if it._due is not None:
        later_ns, callback = it._due.time_ns + 900_000_000_000, it._due.callback
        it._due.cancel()
        it._due = it._world.at(later_ns, callback)


def _refill_unchecked(original: Any, it: Planner, proposed: ProposeRefill) -> Any:
    return proposals.Plan(proposed, lambda token: it._settings.refill(proposed.command_id, token, proposed.volume_ul))


MUTANTS = (
    of(
        "SP-01",
        "pressed",
        "The lockout is half of what was set.",
        (PatientBoluses, "_lockout_left_us", _shorter_lockout),
    ),
    of("SP-01", "pressed", "A reset forgets when patient boluses began.", (Therapy, "after_reset", _starts_lost)),
    of("SP-01", "pressed", "Lockout and allotment are not looked at.", (PatientBoluses, "allowed", _of_the_day)),
    of(
        "SP-02",
        "pressed",
        "The window's limit is not looked at.",
        (PatientBoluses, "refuse_above_window", lambda original, *arguments: None),
    ),
    of(
        "SP-02",
        "pressed",
        "The window is taken as a third as long.",
        (PatientBoluses, "refuse_above_window", _half_window),
    ),
    of(
        "SP-02",
        "pressed",
        "Basal does not count in the window.",
        (PatientBoluses, "refuse_above_window", _without_basal),
    ),
    of(
        "SP-06",
        "tokens",
        "A COMMIT counts by its token, which stays good.",
        (Dosing, "commit", _commits_again),
        (Tokens, "redeem", _keeps_token),
    ),
    of(
        "SP-06",
        "tokens",
        "An id that was used up is proposed and committed again.",
        (Dosing, "propose", _any_id),
        (Dosing, "commit", _any_commit),
    ),
    of("SP-10", "limits", "What is no number is taken as ten.", (Planner, "plan", _mended)),
    of("SP-10", "limits", "A refused proposal uses its id up.", (Dosing, "propose", _burns)),
    of("SP-10", "limits", "Only the lower limit is looked at.", (proposals, "_check_range", _below_only)),
    of("SP-11", "tokens", "A token is good for ten minutes.", (tokens, "LIFETIME_S", 600.0)),
    of("SP-11", "tokens", "A COMMIT counts whatever its token.", (Tokens, "redeem", _no_token)),
    of("SP-12", "limits", "The volume of a bolus is rounded up.", (Planner, "_steps", _rounds_up)),
    of("SP-12", "limits", "A refill is not held against the reservoir.", (Planner, "_refill", _refill_unchecked)),
    of("SP-21", "priming", "A priming bolus is given twice over.", (Planner, "_bolus", _doubles)),
    of("SP-21", "priming", "A priming bolus goes on.", (Therapy, "start_bolus", _primes_on)),
    of("SP-22", "priming", "That it was primed is not remembered.", (Therapy, "start_bolus", _never_primed)),
    of("SP-22", "priming", "A reset forgets that it was primed.", (Therapy, "after_reset", _primed_forgets)),
    of("SP-41", "by_the_clock", "The steps go by another time zone.", (Programme, "ticks_at", _utc)),
    of("SP-41", "by_the_clock", "The next step begins a quarter of an hour late.", (FlexTimer, "watch", _late)),
    of(
        "SP-41",
        "by_the_clock",
        "Setting the clock changes nothing until the next step.",
        (Therapy, "follow_clock", _deaf_to_the_clock),
    ),
)
