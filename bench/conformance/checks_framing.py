"""Frames on a bad line: what comes before, between and around them, and damage of each kind."""

from __future__ import annotations

from bench.conformance import wrong_frames
from bench.conformance.check import NotApplicable, Violation, check
from bench.conformance.device import Device
from bench.conformance.exchange import described
from protocol import Capability, Stop, Stopped, encode, encode_frame

NOISE_BYTES = 65_536
NOISE_PATIENCE_S = 30.0
BOOT_GARBAGE = b"boot: \xff\xfe firmware started\r\n" + bytes(range(1, 256))
IGNORED = (
    "Before that nothing in it can be trusted, the seq neither: it is counted and otherwise ignored, "
    "and the host's time-out does the rest."
)


@check(
    "garbage-before-hello",
    "A zero is then a frame's edge and nothing else, and a receiver that joins in the middle, or lost bytes, "
    "is in step again at the next zero.",
)
def garbage_before_hello(device: Device) -> None:
    device.line.send(BOOT_GARBAGE)
    device.new_session()


@check(
    "noise-before-hello",
    "A zero on both sides, so that damage stays where it was done.",
)
def noise_before_hello(device: Device) -> None:
    device.line.send(device.line.random.randbytes(NOISE_BYTES))
    device.hello = device.line.hello(patience_s=NOISE_PATIENCE_S)
    if device.line.strays:
        strays = ", ".join(f"0x{frame.type:02X}" for frame in device.line.strays)
        raise Violation(f"the noise was answered with {strays}")


@check("runs-of-zeros", "Runs of zeros between frames are normal and mean nothing.", orders=True)
def runs_of_zeros(device: Device) -> None:
    device.line.send(bytes(64))
    device.line.silence("a run of zeros")
    seq = device.line.new_seq()
    device.line.send(bytes(7) + encode(Stop(), seq=seq) + bytes(64))
    device.line.expect(seq, Stop(), Stopped)
    device.line.silence("a run of zeros behind a frame")


@check(
    "frames-in-any-portions",
    "Bytes may arrive in any portions: a frame byte by byte, split anywhere, or several frames at once.",
    orders=True,
)
def frames_in_any_portions(device: Device) -> None:
    line = device.line
    seq = line.new_seq()
    wire = encode(Stop(), seq=seq)
    for octet in wire:
        line.send(bytes([octet]))
        line.hear(0.002)
    line.expect(seq, Stop(), Stopped)
    seqs = [line.new_seq() for _ in range(3)]
    joined = b"".join(encode(Stop(), seq=each) for each in seqs)
    line.send(joined[: len(joined) // 2])
    line.hear(0.02)
    line.send(joined[len(joined) // 2 :])
    for each in seqs:
        line.expect(each, Stop(), Stopped)
    if line.strays:
        raise Violation("three requests at once were not answered once each, in their order")


@check("bad-crc-ignored", IGNORED, orders=True)
def bad_crc_ignored(device: Device) -> None:
    for damage in (1, 0x8000_0000):
        _ignored(device, wrong_frames.frame(Stop.TYPE, device.line.new_seq(), crc_damage=damage), "a wrong CRC")


@check("not-cobs-ignored", IGNORED, orders=True)
def not_cobs_ignored(device: Device) -> None:
    _ignored(device, wrong_frames.not_cobs(), "what is no COBS")


@check("too-short-ignored", IGNORED, orders=True)
def too_short_ignored(device: Device) -> None:
    _ignored(device, wrong_frames.too_short(), "a frame of nine bytes")


@check("too-long-ignored", "more than 537 bytes without a zero: thrown away as they come, counted once", orders=True)
def too_long_ignored(device: Device) -> None:
    _ignored(device, wrong_frames.too_long(), "a run that is too long")


@check(
    "trailer-ignored",
    "A device without a key decodes such a frame and ignores the trailer.",
)
def trailer_ignored(device: Device) -> None:
    if device.can & Capability.AUTHENTICATION:
        raise NotApplicable("it takes part in AUTHENTICATION and does not ignore trailers")
    seq = device.line.new_seq()
    device.line.send(encode_frame(Stop.TYPE, seq, b"", trailer=bytes(range(0xA0, 0xAC))))
    device.line.expect(seq, Stop(), Stopped)


def _ignored(device: Device, wire: bytes, what: str) -> None:
    line = device.line
    line.send(wire)
    line.silence(what)
    line.send(wire)
    seq = line.sent(Stop())
    reply = line.expect(seq, Stop(), Stopped)
    if line.strays:
        raise Violation(f"{what} was answered, before {described(reply)}")


FRAMING = (
    garbage_before_hello,
    noise_before_hello,
    runs_of_zeros,
    frames_in_any_portions,
    bad_crc_ignored,
    not_cobs_ignored,
    too_short_ignored,
    too_long_ignored,
    trailer_ignored,
)
