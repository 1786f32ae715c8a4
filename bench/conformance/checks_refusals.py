"""What a device must refuse, each with its own reason, and what it must read all the same."""

from __future__ import annotations

from collections.abc import Iterator

from bench.conformance import wrong_frames
from bench.conformance.check import NotApplicable, Violation, check
from bench.conformance.device import Device
from bench.conformance.exchange import decoded, described
from protocol import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    BulkObject,
    BulkOpen,
    Capability,
    CommandResultRequest,
    Hello,
    HelloRequest,
    LeaseRequest,
    LeaseStatusRequest,
    Message,
    Nak,
    NakReason,
    OnLeaseLoss,
    PatientBolusLimitsRequest,
    ProposeBolus,
    ProposeBridge,
    ProposeContinuous,
    ProposeMinimumRate,
    ProposePatientBolus,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
    SelfTestItem,
    SelfTestRequest,
    StatusRequest,
    Stop,
    Stopped,
    Subscribe,
    TherapyClockRequest,
    encode_payload,
)

UNKNOWN_TYPE = 0x7F
UNKNOWN_STREAM = 200
OTHER_MAJOR = PROTOCOL_MAJOR + 1
UNKNOWN_FLAG = 0x04
LONGEST_PAYLOAD_BYTES = 512
REFUSED = "What it cannot use it NAKs: VERSION, MALFORMED (LENGTH and PAYLOAD above), UNKNOWN_TYPE."


@check("unknown-type-refused", REFUSED, orders=True)
def unknown_type_refused(device: Device) -> None:
    _refused(device, "an unknown type", NakReason.UNKNOWN_TYPE, UNKNOWN_TYPE)


@check("wrong-length-refused", "A length field, although COBS shows the end: a sender that cuts a payload short and "
       "computes a right CRC over it is caught.", orders=True)  # fmt: skip
def wrong_length_refused(device: Device) -> None:
    malformed = NakReason.MALFORMED
    _refused(device, "a length field above the payload", malformed, Stop.TYPE, length=1)
    _refused(device, "a length field below the payload", malformed, Stop.TYPE, b"\x11", length=0)
    beyond = bytes(LONGEST_PAYLOAD_BYTES + 1)
    _refused(device, "a payload of 513 bytes", malformed, Stop.TYPE, beyond)


@check("wrong-payload-refused", "the payload does not fit its type", orders=True)
def wrong_payload_refused(device: Device) -> None:
    whole = encode_payload(CommandResultRequest(1))
    for payload in (whole[:-1], whole + b"\0", b""):
        what = f"a CommandResultRequest of {len(payload)} bytes"
        _refused(device, what, NakReason.MALFORMED, CommandResultRequest.TYPE, payload)


@check(
    "text-not-utf8-refused",
    "the payload has not the size of its message, or holds text that is not UTF-8",
    uses=(LeaseRequest,),
    needs=Capability.CONTROL_LEASE,
)
def text_not_utf8_refused(device: Device) -> None:
    payload = encode_payload(LeaseRequest(0, 1_000, ""))[:-24] + b"\xff" + bytes(23)
    _refused(device, "a holder that is not UTF-8", NakReason.MALFORMED, LeaseRequest.TYPE, payload)


@check("other-major-refused", "another major version, or an unknown flag", orders=True)
def other_major_refused(device: Device) -> None:
    _refused(device, "another major version", NakReason.VERSION, Stop.TYPE, version_flags=OTHER_MAJOR << 4)


@check("unknown-flag-refused", "another major version, or an unknown flag", orders=True)
def unknown_flag_refused(device: Device) -> None:
    flags = PROTOCOL_MAJOR << 4 | UNKNOWN_FLAG
    _refused(device, "an unknown flag", NakReason.VERSION, Stop.TYPE, version_flags=flags)


@check("hello-of-any-major-read", "HELLO is read whatever its major version.")
def hello_of_any_major_read(device: Device) -> None:
    request, seq = device.line.hello_request(OTHER_MAJOR)
    payload = encode_payload(HelloRequest(OTHER_MAJOR, PROTOCOL_MINOR, request.host_nonce))
    device.line.send(wrong_frames.frame(HelloRequest.TYPE, seq, payload, version_flags=OTHER_MAJOR << 4))
    device.line.expect(seq, request, Hello)


@check("refusals-are-not-stored", "These NAKs are not stored, as nothing was done.", orders=True)
def refusals_are_not_stored(device: Device) -> None:
    seq = device.line.new_seq()
    device.line.send(wrong_frames.frame(Stop.TYPE, seq, length=1))
    device.line.nak(seq, "a wrong length", NakReason.MALFORMED)
    device.line.send(wrong_frames.frame(Stop.TYPE, seq))
    device.line.expect(seq, Stop(), Stopped)


@check(
    "unknown-value-refused",
    "A request for what it has not got (see Capability) is NAK UNSUPPORTED, one with a named value it does not know "
    "OUT_OF_RANGE.",
    uses=(Subscribe,),
)
def unknown_value_refused(device: Device) -> None:
    device.line.refusal(Subscribe(UNKNOWN_STREAM, 1_000), NakReason.OUT_OF_RANGE)


@check(
    "unannounced-refused",
    "What the device can do beyond HELLO, DESCRIBE, STOP, calibration and the plain reads; the rest it NAKs "
    "UNSUPPORTED.",
    uses=(StatusRequest,),
    orders=True,
)
def unannounced_refused(device: Device) -> None:
    command_id = device.next_command_id()
    asked = [
        (capability, request)
        for capability, request in beyond(command_id)
        if not capability & device.can and request.TYPE in device.usable
    ]
    if not asked:
        raise NotApplicable("it announces every capability whose requests it lays out as we do")
    device.starts()
    for capability, request in asked:
        reply = decoded(device.line.reply(device.line.sent(request), type(request).__name__))
        if not isinstance(reply, Nak) or reply.reason != NakReason.UNSUPPORTED:
            name = type(request).__name__
            raise Violation(f"{capability.name} is not announced, and {name} was answered with {described(reply)}")


def beyond(command_id: int) -> Iterator[tuple[Capability, Message]]:
    """A request for each capability that none of the others covers; none of them starts anything."""
    runs_on = OnLeaseLoss.CONTINUE
    yield Capability.CONTINUOUS, ProposeContinuous(command_id, 10.0, runs_on)
    yield Capability.BOLUS, ProposeBolus(command_id, 1.0, 0.0)
    yield Capability.MINIMUM_RATE, ProposeMinimumRate(command_id, 0.0, runs_on)
    yield Capability.PATIENT_BOLUS, ProposePatientBolus(command_id, 0.0, 0.0)
    yield Capability.PATIENT_BOLUS, PatientBolusLimitsRequest()
    yield Capability.PRIMING, ProposePrime(command_id, 1.0, 0.0)
    yield Capability.BRIDGE, ProposeBridge(command_id, 1.0, 10.0, 10.0, runs_on)
    yield Capability.TRIAL, ProposeTrial(command_id, 10.0, 60, runs_on)
    yield Capability.CONTROL_LEASE, LeaseStatusRequest()
    yield Capability.EVENT_LOG, BulkOpen(BulkObject.EVENT_LOG, 0)
    yield Capability.SELF_TEST, SelfTestRequest(SelfTestItem.CLOCK)
    yield Capability.THERAPY_CLOCK, TherapyClockRequest()
    yield Capability.THERAPY_CLOCK, ProposeTherapyClock(command_id, 1_800_000_000, 0)
    yield Capability.REFILL, ProposeRefill(command_id, 1.0)


def _refused(
    device: Device,
    what: str,
    reason: NakReason,
    type_byte: int,
    payload: bytes = b"",
    *,
    version_flags: int = PROTOCOL_MAJOR << 4,
    length: int | None = None,
) -> None:
    seq = device.line.new_seq()
    wire = wrong_frames.frame(type_byte, seq, payload, version_flags=version_flags, length=length)
    device.line.send(wire)
    device.line.nak(seq, what, reason)


REFUSALS = (
    unknown_type_refused,
    wrong_length_refused,
    wrong_payload_refused,
    text_not_utf8_refused,
    other_major_refused,
    unknown_flag_refused,
    hello_of_any_major_read,
    refusals_are_not_stored,
    unknown_value_refused,
    unannounced_refused,
)
