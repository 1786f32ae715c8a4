"""Commands: their ids, their limits, and what a change needs before it is made."""

from __future__ import annotations

from math import isfinite
from typing import Any

from firmware_mock.firmware.inside import Inside
from firmware_mock.firmware.memory import Run
from firmware_mock.firmware.tokens import LIFETIME_S
from firmware_mock.monitors.delivery import ROUNDING_UL
from firmware_mock.monitors.moment import Exchange, Findings, Moment, canonical_of, driven_ul_per_h, ended
from firmware_mock.world import to_ns
from protocol import (
    Commit,
    Mode,
    Nak,
    Proposal,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposePrime,
    ProposeRefill,
    ProposeTrial,
    decode_payload,
)

_BOLUSES = frozenset((Mode.BOLUS, Mode.PATIENT_BOLUS, Mode.PRIMING))
_ROUND = 1.0 + 1e-9


class Ids:
    """SP-06: ids only rise, and a bolus is begun once."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._highest = max((run.command_id for run in begin.runs), default=0)

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if not now.works:
            return
        if was.is_lost:
            self._highest = max((run.command_id for run in now.runs), default=self._highest)
            return
        before = {run.command_id for run in was.runs}
        for run in now.runs:
            if run.command_id not in before:
                if run.command_id <= self._highest:
                    yield "SP-06", f"command {run.command_id} begins again; {self._highest} has begun"
                self._highest = max(self._highest, run.command_id)
        bolus, earlier = now.memory.bolus, was.memory.bolus
        if bolus is None or earlier is None or bolus.command_id != earlier.command_id:
            return
        if bolus.command_id in now.committed and now.began_ns != was.began_ns:
            yield "SP-06", f"a second COMMIT of bolus {bolus.command_id} began it again"


class Limits:
    """SP-10, SP-12: what is out of the model's range is refused and changes nothing, and memory never holds it."""

    requests = (ProposeContinuous, ProposeBolus, ProposePrime, ProposeBridge, ProposeTrial, ProposeCalibration,
                ProposeRefill)  # fmt: skip

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._profile = inside.profile
        nominal_nl, span = inside.profile.step_volume_nl, inside.profile.calibration_span_pct / 100.0
        self._ranges: dict[str, tuple[float, float]] = {
            "rate_ul_per_h": (inside.profile.rate_min_ul_per_h, inside.profile.rate_max_ul_per_h),
            "bridge_rate_ul_per_h": (inside.profile.rate_min_ul_per_h, inside.profile.rate_max_ul_per_h),
            "step_volume_nl": (nominal_nl * (1.0 - span), nominal_nl * (1.0 + span)),
        }

    def on_exchange(self, exchange: Exchange) -> Findings:
        fault = self._fault(exchange.request)
        if fault and not isinstance(exchange.answer, Nak):
            yield "SP-10", f"{fault} was not refused"
        is_changed = exchange.before.memory is not exchange.after.memory
        if isinstance(exchange.answer, Nak) and (is_changed or exchange.before.period_ps != exchange.after.period_ps):
            yield "SP-10", f"{type(exchange.request).__name__} was refused and changed something"
        if isinstance(exchange.answer, Proposal):
            canonical = decode_payload(exchange.request.TYPE, exchange.answer.canonical)
            if fault := self._fault(canonical):
                yield "SP-12", f"{fault} would be used"

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if now.memory is was.memory or now.is_lost:
            return
        memory, step_ul = now.memory, now.memory.step_volume_nl * 1e-3
        low_nl, high_nl = self._ranges["step_volume_nl"]
        if memory.step_volume_nl != was.memory.step_volume_nl and not low_nl <= memory.step_volume_nl <= high_nl:
            yield "SP-12", f"memory holds a step volume of {memory.step_volume_nl} nL"
        is_filled = memory.reservoir_ul != was.memory.reservoir_ul
        if is_filled and memory.reservoir_ul > self._profile.reservoir_volume_ul * _ROUND:
            yield "SP-12", f"memory holds a filling of {memory.reservoir_ul} uL"
        for run in now.runs:
            yield from self._judge(run, step_ul)

    def _judge(self, run: Run, step_ul: float) -> Findings:
        if run.step_ticks:
            rate_ul_per_h = driven_ul_per_h(run.step_ticks * 1_000_000, step_ul * 1e3)
            lowest = self._profile.rate_min_ul_per_h
            if run.mode in (Mode.MINIMUM_RATE, Mode.FLEX, Mode.PATIENT_BOLUS):
                lowest = 0.0
            if not lowest / _ROUND <= rate_ul_per_h <= self._profile.rate_max_ul_per_h * _ROUND:
                yield "SP-12", f"command {run.command_id} runs at {rate_ul_per_h:.6g} uL/h"
        volume_ul = run.steps * step_ul if run.steps is not None else 0.0
        if run.mode in _BOLUSES and volume_ul > self._profile.bolus_max_ul + ROUNDING_UL:
            yield "SP-12", f"bolus {run.command_id} is of {volume_ul:.6g} uL"

    def _fault(self, message: Any) -> str:
        for key in message.__struct_fields__:
            value = getattr(message, key)
            if not isinstance(value, float):
                continue
            lowest, highest = self._range(message, key)
            if not isfinite(value) or not lowest / _ROUND <= value <= highest * _ROUND:
                return f"{type(message).__name__} with {key} = {value}"
        return ""

    def _range(self, message: Any, key: str) -> tuple[float, float]:
        if key == "volume_ul":
            is_refill = isinstance(message, ProposeRefill)
            return 0.0, self._profile.reservoir_volume_ul if is_refill else self._profile.bolus_max_ul
        lowest, highest = self._ranges[key]
        asks_for_the_models = isinstance(message, ProposeBolus | ProposePrime) and message.rate_ul_per_h == 0.0
        return (0.0, highest) if asks_for_the_models else (lowest, highest)


class Confirmation:
    """SP-11: a COMMIT does nothing unless its token was issued for this command, once, and not long ago."""

    requests = (Commit,)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._world = inside.world
        self._used: set[int] = set()

    def on_exchange(self, exchange: Exchange) -> Findings:
        before, after, commit = exchange.before.memory, exchange.after.memory, exchange.request
        if after.last_command_id == before.last_command_id:
            return
        issued = exchange.issued
        if issued is None or issued.proposal.command_id != commit.command_id:
            yield "SP-11", f"COMMIT {commit.command_id} was carried out without a proposal of its token"
            return
        age_ns = exchange.after.now_ns - issued.at_ns
        if age_ns > to_ns(LIFETIME_S * self._world.served_speed):
            yield "SP-11", f"COMMIT {commit.command_id} was carried out {age_ns / 1e9:.1f} s after its proposal"
        if commit.token in self._used:
            yield "SP-11", f"the token of COMMIT {commit.command_id} was used before"
        self._used.add(commit.token)
        run = next((run for run in exchange.after.runs if run.command_id == commit.command_id), None)
        if run is not None and run.canonical != issued.proposal.canonical:
            yield "SP-11", f"command {run.command_id} is not what was confirmed"


class Priming:
    """SP-21, SP-22: a priming bolus is of the volume confirmed, and there is one for each filling.

    Steps that a rotor makes beyond its timer do not count: SP-13 bounds how long that stays untold.
    """

    requests = (Commit,)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._most_ul = inside.profile.bolus_max_ul
        self._primed = begin.memory.primed
        self._begun: tuple[int, int, int] | None = None

    def on_exchange(self, exchange: Exchange) -> Findings:
        bolus, issued = exchange.after.memory.bolus, exchange.issued
        if bolus is None or issued is None or not isinstance(issued.canonical, ProposePrime):
            return
        if bolus.command_id <= exchange.before.memory.last_command_id:
            return
        planned = issued.canonical.volume_ul / (exchange.after.memory.step_volume_nl * 1e-3)
        if bolus.command_id == issued.canonical.command_id and bolus.steps != round(planned):
            yield "SP-21", f"priming bolus {bolus.command_id} has {bolus.steps} steps; {planned:.1f} were confirmed"

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if not now.works:
            self._begun = None
            return
        if self._begun is not None and (now.is_blurred or not was.follows):
            command_id, began_at, planned = self._begun
            self._begun = (command_id, began_at + now.rotor_steps - was.rotor_steps, planned)
        if any(result.propose_type == ProposeRefill.TYPE for result in ended(was, now)):
            self._primed = False
        bolus = now.memory.bolus
        if bolus is None or bolus.mode is not Mode.PRIMING:
            yield from self._judge(now)
            self._begun = None
            return
        step_ul = now.memory.step_volume_nl * 1e-3
        if self._begun is None or self._begun[0] != bolus.command_id:
            if self._primed:
                yield "SP-22", f"priming bolus {bolus.command_id} is the second of this filling"
            self._primed = True
            confirmed_ul = canonical_of(bolus.propose_type, bolus.canonical).volume_ul
            self._begun = (bolus.command_id, now.rotor_steps, round(confirmed_ul / step_ul))
            if bolus.steps is None or bolus.steps * step_ul > self._most_ul + ROUNDING_UL:
                yield "SP-21", f"priming bolus {bolus.command_id} has {bolus.steps} steps"
        yield from self._judge(now)

    def _judge(self, now: Moment) -> Findings:
        if self._begun is None:
            return
        command_id, began_at, planned = self._begun
        if now.rotor_steps - began_at > planned + 1:
            yield "SP-21", f"priming bolus {command_id} made {now.rotor_steps - began_at} of {planned} steps"
