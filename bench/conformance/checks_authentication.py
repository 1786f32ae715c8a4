"""A device with a key, met by a host without it: it is read, and nothing else is done."""

from __future__ import annotations

from bench.conformance.check import Violation, check
from bench.conformance.checks_refusals import beyond
from bench.conformance.device import HOLDER, Device
from bench.conformance.exchange import decoded, described
from protocol import (
    READ_ONLY_TYPES,
    AcknowledgeAlarms,
    AlarmsRequest,
    Calibration,
    CalibrationRequest,
    Capability,
    CommandResultRequest,
    Commit,
    HandshakeConfirm,
    Lease,
    LeaseRelease,
    LeaseRequest,
    LeaseStatusRequest,
    Message,
    Nak,
    NakReason,
    OnLeaseLoss,
    PatientBolusLimits,
    PatientBolusLimitsRequest,
    ProposeFlex,
    ProposePatientBolusLimits,
    Stop,
    Stream,
    Subscribe,
    Therapy,
    TherapyClock,
    TherapyClockRequest,
    TherapyRequest,
    encode_frame,
)
from protocol import Alarms as AlarmList

STATE_USES = (CalibrationRequest, TherapyRequest, AlarmsRequest)
FORGED_TRAILERS = (bytes(12), b"\xff" * 12, bytes(range(12)))


@check(
    "orders-need-the-key",
    "Everything else in the open is NAK UNAUTHENTICATED.",
    uses=STATE_USES,
    needs=Capability.AUTHENTICATION,
)
def orders_need_the_key(device: Device) -> None:
    before = _state(device)
    for request in _orders(device):
        device.line.refusal(request, NakReason.UNAUTHENTICATED)
    _hold_unchanged(device, before, "orders in the open were refused")


@check(
    "forged-frames-come-to-nothing",
    "A frame with a trailer whose tag is not right, or whose counter is not new, is dropped and counted, whatever its "
    "type, and never answered: whoever guesses hears nothing. But where no session is in force, as after a reset, a "
    "frame with a trailer is answered at once by a plain NAK UNAUTHENTICATED.",
    uses=STATE_USES,
    needs=Capability.AUTHENTICATION,
)
def forged_frames_come_to_nothing(device: Device) -> None:
    before = _state(device)
    for trailer in FORGED_TRAILERS:
        seq = device.line.new_seq()
        device.line.send(encode_frame(Stop.TYPE, seq, b"", trailer=trailer))
        frame = device.line.heard(seq)
        if frame is None:
            continue
        reply = decoded(frame)
        if not isinstance(reply, Nak) or reply.reason != NakReason.UNAUTHENTICATED:
            raise Violation(f"Stop with a forged trailer was answered with {described(reply)}")
    _hold_unchanged(device, before, "frames with forged trailers were sent")


def _orders(device: Device) -> list[Message]:
    """A request of each kind that it must refuse; none of them would start anything even if it were done."""
    command_id = device.hello.last_command_id + 1
    orders: list[Message] = [
        Stop(),
        CommandResultRequest(0),
        Subscribe(Stream.TELEMETRY, 0),
        AcknowledgeAlarms(0, 0),
        LeaseRequest(0, 1_000, HOLDER),
        LeaseRelease(0),
        HandshakeConfirm(),
        Commit(command_id, 0, bytes(8)),
        device.harmless(command_id),
        ProposeFlex(command_id, OnLeaseLoss.CONTINUE, ()),
        ProposePatientBolusLimits(command_id, 0, 1.0, 0.0, 3600, 1, 3600, 1.0),
        *(request for _, request in beyond(command_id)),
    ]
    return [order for order in orders if order.TYPE in device.usable and order.TYPE not in READ_ONLY_TYPES]


def _state(device: Device) -> dict[str, object]:
    """What an order could change, as far as it can be read."""
    line = device.line
    hello = line.hello()
    calibration = line.ask(CalibrationRequest(), Calibration)
    state: dict[str, object] = {
        "its boot": hello.boot_id,
        "its last command": hello.last_command_id,
        "its step volume": (calibration.step_volume_nl, calibration.generation),
        "its therapy": line.ask(TherapyRequest(), Therapy),
        "its seen alarms": [
            (int(entry.alarm), entry.acknowledged) for entry in line.ask(AlarmsRequest(), AlarmList).entries
        ],
    }
    if device.can & Capability.CONTROL_LEASE and LeaseStatusRequest.TYPE in device.usable:
        state["its control lease"] = line.ask(LeaseStatusRequest(), Lease).holder
    if device.can & Capability.THERAPY_CLOCK and TherapyClockRequest.TYPE in device.usable:
        state["its therapy clock"] = line.ask(TherapyClockRequest(), TherapyClock).generation
    if device.can & Capability.PATIENT_BOLUS and PatientBolusLimitsRequest.TYPE in device.usable:
        limits = line.ask(PatientBolusLimitsRequest(), PatientBolusLimits)
        state["its patient bolus limits"] = (limits.enabled, limits.volume_ul, limits.rate_ul_per_h, limits.lockout_s)
    return state


def _hold_unchanged(device: Device, before: dict[str, object], why: str) -> None:
    after = _state(device)
    changed = [f"{what} from {before[what]} to {after[what]}" for what in before if before[what] != after[what]]
    if changed:
        raise Violation(f"{why}, and it changed {', '.join(changed)}")


AUTHENTICATION = (orders_need_the_key, forged_frames_come_to_nothing)
