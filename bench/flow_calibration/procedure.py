"""The gravimetric flow calibration: as found, fit, factor approved and written, as left.

The measurand is the unit's mean error of delivered volume at each rate: the mean over rotor phases and over the
scatter of its starts, stated at pump-head temperature. It is not the volume realised in one window.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence

import msgspec

from bench.control import controlled
from bench.errors import RunAborted, SetupRefused
from bench.flow_calibration.acquisition import Acquisition, planned_s
from bench.flow_calibration.analysis import check_as_left, claim_remarks, fit_factor, rate_results
from bench.flow_calibration.plan import FlowCalibrationPlan, RunPlan, balanced_order, check_feasible, run_plan
from bench.flow_calibration.reduction import Reduced, reduce_session
from bench.flow_calibration.result import (
    AS_FOUND,
    AS_LEFT,
    Adjustment,
    AsLeftCheck,
    BalanceNoise,
    Fit,
    FlowCalibrationResult,
    RateResult,
)
from bench.gates import (
    CheckWeighing,
    Identity,
    ask_checklist,
    check_preload,
    driver_notices,
    identify,
    weigh_check_weight,
)
from bench.metrology import Verdict, combine_verdicts, format_decimals
from bench.recording import Record
from bench.rig import Rig
from protocol import OnLeaseLoss

PROCEDURE = "flow-calibration"
MEASURAND = (
    "mean relative error of the volume delivered by this unit at each rate, over rotor phase and starts, "
    "volume stated at pump-head temperature"
)
CLOCK_CHECK_S = 2.0
CLOCK_TOLERANCE = 0.03
CLOCK_DRIFT = 0.002
LEFT_OVER_LEVEL = 0.01


def run_flow_calibration(
    rig: Rig,
    plan: FlowCalibrationPlan,
    record: Record,
    progress: Callable[[str, float, float], None] | None = None,
) -> FlowCalibrationResult:
    """Calibrate the pump of a rig under its control lease; `progress` is told text, process seconds done and in all.

    The caller stops the pump on an exception, `LeaseHeld` apart; on return it is stopped, confirmed, with the outlet
    closed.

    Raises:
        SetupRefused: identity, settings, plan or an answer to the checklist do not allow the run.
        RunAborted: the run could not be finished; nothing was written to the pump that was not approved.
        LeaseHeld: another host has the pump; nothing of this run is running on it.
        DriverError: a device failed.
        RecordingFailed: the record could not be written.
    """
    with rig.each_wait(record.sync_if_due), controlled(rig) as on_lease_loss:
        return _calibrate(rig, plan, record, progress, on_lease_loss)


def _calibrate(
    rig: Rig,
    plan: FlowCalibrationPlan,
    record: Record,
    progress: Callable[[str, float, float], None] | None,
    on_lease_loss: OnLeaseLoss,
) -> FlowCalibrationResult:
    check_feasible(plan, rig.file, rig.model, reservoir_ul=rig.pump.status().reservoir_ul)
    runs = _run_plans(plan, rig)
    settling_s = plan.settling.time_constants * rig.file.tubing.time_constant_s
    total_s = (
        planned_s(plan, runs, settling_s) * (plan.repeats + plan.as_left_repeats) + plan.settling.warm_up_min * 60.0
    )
    started_s = rig.clock.monotonic()

    def tell(text: str, now_s: float) -> None:
        if progress is not None:
            progress(text, now_s - started_s, total_s)

    session = Acquisition(rig, plan, record, tell, on_lease_loss)
    rng = rig.stream(PROCEDURE)
    settings = rig.balance.settings()
    identities = identify(rig, settings)
    clock = ClockCheck(rig)
    checklist = ask_checklist(rig, settings)
    rig.pump.stop()
    rig.operator.set_stopcock(open=False)
    if plan.settling.warm_up_min:
        session.note("warm-up", f"warming up for {plan.settling.warm_up_min:.0f} min")
        session.wait(plan.settling.warm_up_min * 60.0)
    check_preload(rig, session.weigh(1))
    weighings = [weigh_check_weight(rig, "before the run", session.weigh)]

    measure(session, runs, plan.repeats, AS_FOUND, rng)
    reduced = _reduce(session, AS_FOUND, rig)
    as_found = rate_results(reduced, AS_FOUND, rig.file, rig.model)
    frozen = msgspec.json.format(msgspec.json.encode(as_found), indent=1)
    record.freeze("as_found.json", frozen)
    session.note("as found", f"as-found result frozen, SHA-256 {hashlib.sha256(frozen).hexdigest()}")

    fit, whole_fit = fit_factor(as_found, rig.file, plan)
    weighings.append(weigh_check_weight(rig, "before the adjustment", session.weigh))
    doubts = _doubts(identities, weighings)
    adjustment = adjust(rig, session, fit, doubts)
    as_left: tuple[RateResult, ...] = ()
    checks: tuple[AsLeftCheck, ...] = ()
    if adjustment.written_step_volume_nl is not None:
        measure(session, _run_plans(plan, rig), plan.as_left_repeats, AS_LEFT, rng)
        reduced = _reduce(session, AS_LEFT, rig)
        as_left = rate_results(reduced, AS_LEFT, rig.file, rig.model, pooled_with=as_found)
        checks = check_as_left(as_left, as_found, whole_fit, rig.file)
    weighings.append(weigh_check_weight(rig, "after the run", session.weigh))
    clock.hold()
    stopped = rig.pump.stop()
    session.note("end", f"pump stopped, confirmed at {stopped.steps} steps; outlet closed")

    found_verdict = combine_verdicts([rate.verdict for rate in as_found])
    left_verdict = combine_verdicts([rate.verdict for rate in as_left]) if as_left else None
    doubts = [*claim_remarks(rig.model), *_doubts(identities, weighings), *_left_doubts(checks)]
    verdict = left_verdict if left_verdict is not None else found_verdict
    if doubts:
        verdict = Verdict.INCONCLUSIVE
    return FlowCalibrationResult(
        procedure=PROCEDURE,
        measurand=MEASURAND,
        simulated=rig.file.is_simulated,
        rig=rig.file.name,
        pump_model=rig.model.name,
        pump_serial_number=rig.pump.identity.serial_number,
        plan=plan.name,
        seed=rig.seed,
        date=rig.today().isoformat(),
        verdict=verdict,
        as_found_verdict=found_verdict,
        as_left_verdict=left_verdict,
        remarks=(*doubts, *driver_notices(rig)),
        identities=identities,
        balance_settings=settings,
        checklist=checklist,
        check_weighings=tuple(weighings),
        as_found=as_found,
        fit=fit,
        adjustment=adjustment,
        as_left=as_left,
        as_left_checks=checks,
        balance_noise=BalanceNoise(reduced.noise.white_mg, reduced.noise.walk_mg_per_sqrt_s * 60.0),
        lost_telemetry=session.lost_telemetry,
        pump_left=f"stopped, confirmed at {stopped.steps} steps; outlet closed",
        trace_hash=rig.simulated.trace_hash() if rig.simulated is not None else None,
    )


def _run_plans(plan: FlowCalibrationPlan, rig: Rig) -> list[RunPlan]:
    step_nl = rig.pump.calibration().step_volume_nl
    return [run_plan(plan, rig.model, rate, step_volume_nl=step_nl) for rate in plan.rates_ul_per_h]


def _doubts(identities: Sequence[Identity], weighings: Sequence[CheckWeighing]) -> list[str]:
    expired = [
        f"certificate expired: {item.role}, {item.certificate}, due {item.due}" for item in identities if item.expired
    ]
    return expired + [
        f"check weight {weighing.when} is {format_decimals(weighing.off_mg, 2)} mg off, "
        f"tolerance {weighing.tolerance_mg:g} mg"
        for weighing in weighings
        if not weighing.passed
    ]


def _left_doubts(checks: Sequence[AsLeftCheck]) -> list[str]:
    """Errors left that calibration and verification do not explain, at a level shared out over the rates."""
    return [
        f"at {check.rate_ul_per_h * 0.024:g} mL/day the error left is more than calibration and verification explain "
        f"(p = {check.p_value:.2g})"
        for check in checks
        if check.p_value < LEFT_OVER_LEVEL / len(checks)
    ]


def _reduce(session: Acquisition, stage: str, rig: Rig) -> Reduced:
    try:
        return reduce_session(session.data.up_to(stage), rig.file)
    except ValueError as error:
        raise RunAborted(f"the data of the run, {stage}, cannot be evaluated: {error}") from error


class ClockCheck:
    """Holds the pump's clock against the process clock, at the start and over the whole session.

    A served mock must run at the speed that the rig file states.

    Raises:
        SetupRefused: the two clocks do not run alike from the start.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._speed = rig.file.served.speed if rig.file.served is not None else 1.0
        self._begin = self._look()
        rig.wait(self._begin[0] + CLOCK_CHECK_S * self._speed)
        ratio = self._ratio()
        if not -CLOCK_TOLERANCE < ratio - 1.0 < CLOCK_TOLERANCE:
            raise SetupRefused(
                f"the pump's clock runs at {ratio:.2f} times the process clock; "
                f"the rig file states speed = {self._speed:g}: give the mock the same --speed"
            )

    def hold(self) -> None:
        """Hold the clocks over the time since the start.

        Raises:
            RunAborted: they drifted apart, so the flow that was computed is not the pump's.
        """
        ratio = self._ratio()
        if not -CLOCK_DRIFT < ratio - 1.0 < CLOCK_DRIFT:
            raise RunAborted(
                f"over the session the pump's clock ran at {ratio:.4f} times the process clock; "
                "the pump restarted, or a served mock fell behind: serve it at a lower --speed"
            )

    def _ratio(self) -> float:
        now_s, device_s = self._look()
        return (device_s - self._begin[1]) / (now_s - self._begin[0])

    def _look(self) -> tuple[float, float]:
        before_s = self._rig.clock.monotonic()
        device_s = self._rig.pump.status().device_time_us / 1e6
        return (before_s + self._rig.clock.monotonic()) / 2.0, device_s


def measure(session: Acquisition, runs: Sequence[RunPlan], repeats: int, stage: str, rng: random.Random) -> None:
    """All runs of a stage in a balanced order, each between two zero segments.

    Neighbours share one, being of different rates; repeats of a single rate would not be independent, so they do not.
    """
    zero_before_s = 0.0
    for index, repeat in balanced_order(len(runs), repeats, rng):
        run = runs[index]
        session.zero_segment(stage, max(zero_before_s, run.zero_s), run.rate_ul_per_h, repeat)
        session.flow_run(stage, run, repeat, rng)
        zero_before_s = run.zero_s
        if len(runs) == 1:
            session.zero_segment(stage, run.zero_s, run.rate_ul_per_h, repeat)
    if len(runs) > 1:
        session.zero_segment(stage, zero_before_s, run.rate_ul_per_h, repeat)


def adjust(rig: Rig, session: Acquisition, fit: Fit, doubts: Sequence[str]) -> Adjustment:
    """Propose a factor, have it approved by name, write it and read it back.

    None is proposed on instruments in doubt, where an offset is significant, or beyond what the pump can be set to.

    Raises:
        DriverError: the pump refused it, holds another value afterwards, or could not be read back
            (`CalibrationUnverified`: then the value is in the pump).
    """
    before = rig.pump.calibration()
    previous_nl = before.step_volume_nl
    proposed_nl = previous_nl * fit.factor
    span_pct = rig.model.calibration_span_pct
    beyond_pct = 100.0 * (proposed_nl / rig.model.step_volume_nl - 1.0)
    reason = ""
    if doubts:
        reason = f"no factor is proposed on instruments in doubt: {'; '.join(doubts)}"
    elif fit.offset_is_significant:
        reason = (
            f"no factor is proposed: the offset of {format_decimals(fit.offset_ul_per_h, 4)} µL/h is significant "
            f"(p = {fit.offset_p_value:.2g}); no factor would mend it"
        )
    elif not -span_pct <= beyond_pct <= span_pct:
        reason = (
            f"no factor is proposed: a step volume of {proposed_nl:.4f} nL is {format_decimals(beyond_pct, 1)} % off "
            f"the model's, and the pump can be set to ±{span_pct:g} %"
        )
    if reason:
        session.note("adjustment", reason)
        return Adjustment(previous_nl, None, None, None, reason)
    question = f"Write a step volume of {proposed_nl:.5f} nL to the pump, in place of {previous_nl:.5f} nL?"
    answer = rig.operator.confirm("approve-calibration", question)
    if not answer.yes:
        reason = f"the proposed factor was declined by {answer.by}"
        session.note("adjustment", reason)
        return Adjustment(previous_nl, proposed_nl, None, None, reason)
    session.note("adjustment", f"{question} Approved by {answer.by}")
    after = rig.pump.write_calibration(proposed_nl)
    reason = (
        f"written and read back: {after.step_volume_nl:.5f} nL; "
        f"{after.previous_step_volume_nl:.5f} nL kept for rollback"
    )
    session.note("adjustment", reason)
    return Adjustment(previous_nl, proposed_nl, answer.by, after.step_volume_nl, reason)
