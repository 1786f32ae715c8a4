"""Streams of samples: the interval really used, numbers without gaps, and their end."""

from __future__ import annotations

from itertools import pairwise

from bench.conformance.check import NotApplicable, Violation, check
from bench.conformance.device import Device
from protocol import (
    Message,
    MotorTelemetry,
    PowerTelemetry,
    Stream,
    Subscribe,
    Subscription,
    Telemetry,
)

SAMPLES = 8
LONGEST_WAIT_S = 30.0
SAMPLE_TYPES: dict[Stream, type[Message]] = {
    Stream.TELEMETRY: Telemetry,
    Stream.MOTOR: MotorTelemetry,
    Stream.POWER: PowerTelemetry,
}
Sample = Telemetry | MotorTelemetry | PowerTelemetry


@check(
    "interval-really-used",
    "The device answers with the interval it will really use: the nearest it can do, not below its shortest one.",
    uses=(Subscribe,),
)
def interval_really_used(device: Device) -> None:
    for stream in _streams(device):
        shortest_ms = _subscription(device, stream, 0).shortest_interval_ms
        for asked_ms in (1, shortest_ms, 3 * shortest_ms + 1):
            used_ms = _subscription(device, stream, asked_ms).interval_ms
            if used_ms < shortest_ms or (asked_ms <= shortest_ms and used_ms != shortest_ms):
                raise Violation(
                    f"{stream.name}: asked for {asked_ms} ms, used {used_ms}, the shortest is {shortest_ms}"
                )
        _subscription(device, stream, 0)


@check(
    "samples-numbered",
    "Their sequence numbers show every gap, and overflow says how many the device itself dropped",
    uses=(Subscribe,),
)
def samples_numbered(device: Device) -> None:
    for stream in _streams(device):
        shortest_ms = _subscription(device, stream, 0).shortest_interval_ms
        interval_ms = _subscription(device, stream, max(shortest_ms, 100)).interval_ms
        samples = _samples(device, stream, interval_ms)
        for before, after in pairwise(samples):
            if after.sequence - before.sequence != 1 or after.overflow != before.overflow:
                raise Violation(f"{stream.name}: after {before} came {after}")
            passed_us = after.device_time_us - before.device_time_us
            if not 0.5 < passed_us / (1000.0 * interval_ms) < 1.5:
                raise Violation(f"{stream.name}: {passed_us} µs lie between two samples at {interval_ms} ms")
        _subscription(device, stream, 0)


@check(
    "stream-ends",
    "Subscribe begins, changes or, with interval 0, ends a stream; HELLO and a reset end all.",
    uses=(Subscribe,),
)
def stream_ends(device: Device) -> None:
    line = device.line
    for stream in _streams(device):
        interval_ms = _subscription(device, stream, 100).interval_ms
        if _subscription(device, stream, 0).interval_ms != 0:
            raise Violation(f"{stream.name}: ended, and it says that samples come")
        _none_comes(device, f"{stream.name}: ended, and", interval_ms)
        _subscription(device, stream, 100)
        line.hello()
        _none_comes(device, f"{stream.name}: a new session began, and", interval_ms)


def _streams(device: Device) -> list[Stream]:
    """The streams that the device has.

    Raises:
        NotApplicable: it has none.
    """
    found = []
    for stream, sample in SAMPLE_TYPES.items():
        if sample.TYPE not in device.usable:
            continue
        if device.supports(Subscribe(stream, 0), Subscription, f"Subscribe to {stream.name}"):
            found.append(stream)
    if not found:
        raise NotApplicable("it has no stream that it lays out as we do")
    return found


def _subscription(device: Device, stream: Stream, interval_ms: int) -> Subscription:
    subscription = device.line.ask(Subscribe(stream, interval_ms), Subscription)
    if subscription.stream != stream:
        raise Violation(f"asked for {stream.name}, it answers for {subscription.stream}")
    return subscription


def _samples(device: Device, stream: Stream, interval_ms: int) -> list[Sample]:
    line = device.line
    line.notifications.clear()
    wait_s = min(LONGEST_WAIT_S, 2.0 + 2.0 * SAMPLES * interval_ms / 1000.0)
    end_s = line.clock.monotonic() + wait_s
    while line.clock.monotonic() < end_s and len(samples := _of(device, stream)) < SAMPLES:
        line.hear(min(0.2, interval_ms / 1000.0))
    if len(samples) < SAMPLES:
        raise Violation(
            f"{stream.name}: {len(samples)} samples came within {wait_s:g} s, one was due every {interval_ms} ms"
        )
    return samples


def _of(device: Device, stream: Stream) -> list[Sample]:
    kind = SAMPLE_TYPES[stream]
    return [
        message
        for message in device.line.notifications
        if isinstance(message, Telemetry | MotorTelemetry | PowerTelemetry) and isinstance(message, kind)
    ]


def _none_comes(device: Device, what: str, interval_ms: int) -> None:
    """No sample comes for three intervals, beginning when what was under way has arrived."""
    line = device.line
    line.hear(0.05)
    line.notifications.clear()
    line.hear(min(LONGEST_WAIT_S, 3.0 * interval_ms / 1000.0))
    came = [message for message in line.notifications if type(message) in SAMPLE_TYPES.values()]
    if came:
        raise Violation(f"{what} {len(came)} samples came after that")


STREAMS = (interval_really_used, samples_numbered, stream_ends)
