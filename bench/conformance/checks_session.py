"""Requests and answers of a session: HELLO's layout, one answer each, retries from the cache, echoes."""

from __future__ import annotations

from bench.conformance import wrong_frames
from bench.conformance.check import Violation, check
from bench.conformance.device import Device
from bench.conformance.exchange import decoded, described
from protocol import (
    PROTOCOL_MAJOR,
    Ack,
    AlarmsRequest,
    CalibrationRequest,
    CommandResultRequest,
    DescribeRequest,
    FirmwareInformationRequest,
    Frame,
    Hello,
    Message,
    NakReason,
    Status,
    StatusRequest,
    Stop,
    TherapyRequest,
    encode,
)
from protocol.registry import answers

HELLO_BYTES = 92
HELLO_TEXTS = {"model": (28, 24), "serial_number": (52, 24), "firmware_version": (76, 16)}
REPLIES_KEPT = 16
UNASSIGNED_REPLY_TYPE = 0xBF
UNASSIGNED_NOTIFICATION_TYPE = 0xFE
READS: tuple[Message, ...] = (
    StatusRequest(),
    CalibrationRequest(),
    FirmwareInformationRequest(),
    AlarmsRequest(),
    TherapyRequest(),
    CommandResultRequest(0),
    DescribeRequest(0),
    Stop(),
)


@check("hello-layout", "HelloRequest, Hello, DescribeRequest and Description are frozen for ever")
def hello_layout(device: Device) -> None:
    request, seq = device.line.hello_request()
    device.line.send(encode(request, seq=seq))
    frame = device.line.reply(seq, "HelloRequest")
    if frame.type != Hello.TYPE or len(frame.payload) != HELLO_BYTES:
        raise Violation(f"Hello has type 0x{frame.type:02X} and {len(frame.payload)} bytes instead of 0x81 and 92")
    for name, (offset, size) in HELLO_TEXTS.items():
        text = frame.payload[offset : offset + size]
        if b"\0" in text.rstrip(b"\0"):
            raise Violation(f"{name} is not padded with zeros at its end: {text.hex()}")
    if device.hello.protocol_major != PROTOCOL_MAJOR:
        raise Violation(f"it says major version {device.hello.protocol_major}, and answers version {PROTOCOL_MAJOR}")


@check(
    "answers-fit-requests",
    "An answer must have the outstanding seq and a type that answers the request.",
    uses=tuple(type(request) for request in READS),
)
def answers_fit_requests(device: Device) -> None:
    for request in READS:
        name = type(request).__name__
        frame = device.line.reply(device.line.sent(request), name)
        if not answers(frame.type, request.TYPE):
            raise Violation(f"{name} was answered with {described(decoded(frame))}")
    if device.line.strays:
        raise Violation(f"{len(device.line.strays)} replies had a seq that no request had")


@check(
    "answered-once",
    "It answers each request exactly once, in the order they came; what it has to say to a session that has ended is "
    "not sent.",
    orders=True,
)
def answered_once(device: Device) -> None:
    device.line.reply(device.line.sent(Stop()), "Stop")
    device.line.silence("a request that was answered already")


@check(
    "retry-from-cache",
    "The same request again is a retry: it gets the stored reply, byte for byte, and is not acted on again.",
    uses=(StatusRequest,),
)
def retry_from_cache(device: Device) -> None:
    line = device.line
    seq = line.sent(StatusRequest())
    first = line.reply(seq, "StatusRequest")
    line.hear(0.05)
    _same_reply(device, seq, StatusRequest(), first)
    line.silence("a retry that was answered already")


@check(
    "sixteen-replies-kept",
    "It remembers the last 16 requests of the session (seq, SHA-256 of type and payload) with their replies.",
    uses=(StatusRequest,),
)
def sixteen_replies_kept(device: Device) -> None:
    line = device.line
    seqs = [line.sent(StatusRequest())]
    first = line.reply(seqs[0], "StatusRequest")
    for _ in range(REPLIES_KEPT - 1):
        device.status()
    _same_reply(device, seqs[0], StatusRequest(), first)


@check("seq-reuse-refused", "The same seq with other content is NAK SEQ_REUSED.", uses=(StatusRequest,), orders=True)
def seq_reuse_refused(device: Device) -> None:
    seq = device.line.sent(StatusRequest())
    device.line.reply(seq, "StatusRequest")
    device.line.send(encode(Stop(), seq=seq))
    device.line.nak(seq, "Stop with the seq of a StatusRequest", NakReason.SEQ_REUSED)


@check(
    "hello-clears-cache",
    "A HELLO with new content opens a new session: the cache is cleared.",
    uses=(StatusRequest,),
    orders=True,
)
def hello_clears_cache(device: Device) -> None:
    line = device.line
    seq, other_seq = line.sent(StatusRequest()), line.sent(StatusRequest())
    before = line.expect(seq, StatusRequest(), Status)
    line.expect(other_seq, StatusRequest(), Status)
    line.hear(0.05)
    device.new_session()
    line.send(encode(StatusRequest(), seq=seq))
    after = line.expect(seq, StatusRequest(), Status)
    if after.device_time_us <= before.device_time_us:
        raise Violation("a request of the new session was answered with a reply of the old one")
    line.send(encode(Stop(), seq=other_seq))
    frame = line.reply(other_seq, "Stop")
    if not answers(frame.type, Stop.TYPE) or described(decoded(frame)).startswith("NAK"):
        raise Violation(f"a seq of the old session was held against the new one: {described(decoded(frame))}")


@check(
    "hello-repeated-clears-nothing",
    "The same HELLO again is a retry like any other (rule 6) and clears nothing.",
    uses=(StatusRequest,),
)
def hello_repeated_clears_nothing(device: Device) -> None:
    line = device.line
    request, hello_seq = line.hello_request()
    line.send(encode(request, seq=hello_seq))
    hello = line.reply(hello_seq, "HelloRequest")
    seq = line.sent(StatusRequest())
    status = line.reply(seq, "StatusRequest")
    line.hear(0.05)
    _same_reply(device, hello_seq, request, hello)
    _same_reply(device, seq, StatusRequest(), status)


@check("echoes-not-answered", "Frames with a type of 0x80 or above are its own echo: counted, never answered.")
def echoes_not_answered(device: Device) -> None:
    line = device.line
    line.send(encode(Ack(), seq=line.new_seq()))
    for type_byte in (UNASSIGNED_REPLY_TYPE, UNASSIGNED_NOTIFICATION_TYPE):
        line.send(wrong_frames.frame(type_byte, line.new_seq()))
    line.send(wrong_frames.frame(Hello.TYPE, line.new_seq(), b"\x01", length=9))
    line.silence("an echo")


def _same_reply(device: Device, seq: int, request: Message, first: Frame) -> None:
    """Send a request again and hold its reply against the first one's bytes."""
    line = device.line
    name = type(request).__name__
    line.send(encode(request, seq=seq))
    again = line.reply(seq, f"a retry of {name}")
    if line.wire_of(again) != line.wire_of(first):
        raise Violation(f"the retry of {name} got {line.wire_of(again).hex()}, the first {line.wire_of(first).hex()}")


SESSION = (
    hello_layout,
    answers_fit_requests,
    answered_once,
    retry_from_cache,
    sixteen_replies_kept,
    seq_reuse_refused,
    hello_clears_cache,
    hello_repeated_clears_nothing,
    echoes_not_answered,
)
