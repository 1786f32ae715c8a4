"""Flex therapies and patient boluses, as far as a stopped pump shows them: nothing here is committed."""

from __future__ import annotations

from bench.conformance.check import NotApplicable, Violation, check
from bench.conformance.device import Device
from protocol import (
    Capability,
    Day,
    FlexStep,
    NakReason,
    OnLeaseLoss,
    PatientBolusLimits,
    PatientBolusLimitsRequest,
    Proposal,
    ProposeFlex,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    StatusRequest,
    TherapyClock,
    TherapyClockRequest,
    decode_payload,
)

ALL_DAYS = Day(sum(Day))


@check(
    "flex-steps-refused",
    "minutes after local midnight, 0 to 1439",
    uses=(ProposeFlex, StatusRequest),
    needs=Capability.FLEX | Capability.CONTINUOUS,
)
def flex_steps_refused(device: Device) -> None:
    rate_ul_per_h = device.allowed_rate_ul_per_h()
    wrong = (
        (),
        (FlexStep(ALL_DAYS, 1440, rate_ul_per_h),),
        (FlexStep(0, 0, rate_ul_per_h),),
        (FlexStep(ALL_DAYS, 0, -rate_ul_per_h),),
    )
    for steps in wrong:
        device.line.refusal(_flex(device, steps), NakReason.OUT_OF_RANGE)


@check(
    "flex-as-proposed",
    "All day patterns are in one proposal, so that none is ever in force without the others.",
    uses=(ProposeFlex, TherapyClockRequest, StatusRequest),
    needs=Capability.FLEX | Capability.CONTINUOUS | Capability.THERAPY_CLOCK,
)
def flex_as_proposed(device: Device) -> None:
    rate_ul_per_h = device.allowed_rate_ul_per_h()
    steps = (
        FlexStep(Day.SUNDAY, 1439, rate_ul_per_h),
        FlexStep(ALL_DAYS, 0, 0.0),
        FlexStep(ALL_DAYS & ~Day.SUNDAY, 1439, rate_ul_per_h),
    )
    if not device.line.ask(TherapyClockRequest(), TherapyClock).generation:
        device.line.refusal(_flex(device, steps), NakReason.WRONG_STATE)
        return
    proposal = device.line.ask(_flex(device, steps), Proposal)
    canonical = decode_payload(ProposeFlex.TYPE, proposal.canonical)
    assert isinstance(canonical, ProposeFlex)
    if [(step.days, step.start_min) for step in canonical.steps] != [(step.days, step.start_min) for step in steps]:
        raise Violation(f"of {steps} it would make {canonical.steps}")


@check(
    "patient-bolus-needs-a-therapy",
    "It is given on top of a therapy only",
    uses=(ProposePatientBolus, StatusRequest),
    needs=Capability.PATIENT_BOLUS,
)
def patient_bolus_needs_a_therapy(device: Device) -> None:
    if not device.is_stopped():
        raise NotApplicable("it is not stopped")
    device.starts()
    device.line.refusal(ProposePatientBolus(device.next_command_id(), 0.0, 0.0), NakReason.WRONG_STATE)


@check(
    "patient-limits-refused",
    "Limits are checked as they are set, switched off too",
    uses=(ProposePatientBolusLimits, PatientBolusLimitsRequest, StatusRequest),
    needs=Capability.PATIENT_BOLUS,
)
def patient_limits_refused(device: Device) -> None:
    before = device.line.ask(PatientBolusLimitsRequest(), PatientBolusLimits)
    device.starts()
    for enabled in (0, 1, 2):
        limits = ProposePatientBolusLimits(device.next_command_id(), enabled, -1.0, 0.0, 3600, 1, 3600, 1e6)
        device.line.refusal(limits, NakReason.OUT_OF_RANGE)
    after = device.line.ask(PatientBolusLimitsRequest(), PatientBolusLimits)
    if (before.enabled, before.volume_ul) != (after.enabled, after.volume_ul):
        raise Violation(f"refused limits changed {before} to {after}")


def _flex(device: Device, steps: tuple[FlexStep, ...]) -> ProposeFlex:
    device.starts()
    return ProposeFlex(device.next_command_id(), OnLeaseLoss.CONTINUE, steps)


THERAPIES = (flex_steps_refused, flex_as_proposed, patient_bolus_needs_a_therapy, patient_limits_refused)
