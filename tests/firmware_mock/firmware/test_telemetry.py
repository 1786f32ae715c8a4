"""The telemetry stream: on time, numbered, and honest about what it dropped."""

import itertools

import pytest

import protocol
from protocol import Mode, MotorTelemetry, PowerTelemetry, ProposeContinuous, Stream, Subscribe, Telemetry


def test_samples_come_at_the_interval_with_rising_numbers(host):
    pump = host()
    pump.hear(1.0)
    pump.do(ProposeContinuous(1, 1000.0, 0))
    assert pump.ask(Subscribe(1, 10_000)) == protocol.Subscription(Stream.TELEMETRY, 10_000, 100)
    pump.hear(0.1)
    samples = pump.hear(100.0)
    assert all(isinstance(sample, Telemetry) for sample in samples)
    assert [sample.sequence for sample in samples] == list(range(1, 11))
    times_us = [sample.device_time_us for sample in samples]
    assert all(later - earlier == 10_000_000 for earlier, later in itertools.pairwise(times_us))
    last = samples[-1]
    assert (last.mode, last.rate_ul_per_h, last.overflow, last.alarms) == (Mode.CONTINUOUS, 1000.0, 0, 0)
    assert last.head_temperature_c == pytest.approx(37.0)
    assert last.steps == pytest.approx(100.0 / 0.036, abs=3)


def test_an_interval_of_zero_ends_the_stream(host):
    pump = host()
    pump.hear(1.0)
    pump.ask(Subscribe(1, 1000))
    assert len(pump.hear(5.5)) == 5
    pump.ask(Subscribe(1, 0))
    assert pump.hear(5.0) == []


def test_a_new_session_begins_without_a_stream(host):
    pump = host()
    pump.ask(Subscribe(1, 1000))
    pump.ask(protocol.HelloRequest(1, 0, 7))
    pump.hear(0.1)
    assert pump.hear(5.0) == []


def test_a_line_too_slow_for_the_stream_shows_as_overflow_and_gaps(host):
    """A sample of 48 bytes every 0.1 s does not fit through 1200 baud."""
    pump = host(baud=1200)
    pump.ask(Subscribe(1, 100))
    samples = [note for note in pump.hear(60.0) if isinstance(note, Telemetry)]
    assert samples[-1].overflow > 0
    missing = samples[-1].sequence - len(samples)
    assert missing == samples[-1].overflow
    pump.world.close()
    assert pump.world.ledger.open().evidence["pump.telemetry_overflow"] >= missing


def test_the_motor_stream_tells_steps_encoder_and_period(host):
    pump = host()
    pump.ask(Subscribe(Stream.MOTOR, 1000))
    pump.do(ProposeContinuous(1, 1000.0, 0))
    *_, running = [note for note in pump.hear(60.0) if isinstance(note, MotorTelemetry)]
    assert running.step_period_us == 36_000
    assert running.steps == running.encoder_steps == pytest.approx(60.0 / 0.036, abs=30)
    pump.stop()
    *_, standing = [note for note in pump.hear(5.0) if isinstance(note, MotorTelemetry)]
    assert (standing.step_period_us, standing.steps) == (0, pump.status().steps)


@pytest.mark.breaks("SP-04", "SP-40")
def test_the_motor_stream_shows_steps_that_were_commanded_and_never_made(host):
    pump = host()
    pump.do(ProposeContinuous(1, 1000.0, 0))
    pump.hear(360.0)
    pump.head.halt()
    pump.ask(Subscribe(Stream.MOTOR, 1000))
    *_, stalled = [note for note in pump.hear(360.0) if isinstance(note, MotorTelemetry)]
    assert stalled.encoder_steps == pump.status().steps == pytest.approx(10_000, abs=2)
    assert stalled.steps == pytest.approx(20_000, abs=40)
    pump.stop()
    pump.do(ProposeContinuous(2, 1000.0, 0))
    pump.pump.reboot()
    pump.ask(Subscribe(Stream.MOTOR, 1000))
    *_, turning = [note for note in pump.hear(360.0) if isinstance(note, MotorTelemetry)]
    assert turning.encoder_steps == pytest.approx(20_000, abs=40)
    assert turning.steps - turning.encoder_steps == pytest.approx(10_000, abs=40)


def test_the_power_stream_tells_what_was_drawn(host):
    pump = host(battery_used_pct=50.0)
    pump.ask(Subscribe(Stream.POWER, 10_000))
    pump.do(ProposeContinuous(1, 1000.0, 0))
    samples = [note for note in pump.hear(3600.0) if isinstance(note, PowerTelemetry)]
    first, last = samples[0], samples[-1]
    seconds = (last.device_time_us - first.device_time_us) * 1e-6
    assert first.battery_used_j == pytest.approx(4500.0, abs=0.1)
    drawn_j = seconds * (35e-6 + 20e-6 / 0.036)
    assert last.battery_used_j - first.battery_used_j == pytest.approx(drawn_j, abs=1e-3)
    assert (last.battery_mv, last.head_temperature_c) == (pump.status().battery_mv, 37.0)


def test_streams_run_side_by_side_each_with_its_own_count(host):
    pump = host()
    pump.hear(1.0)
    for stream, interval_ms in ((Stream.TELEMETRY, 500), (Stream.MOTOR, 1000), (Stream.POWER, 2000)):
        pump.ask(Subscribe(stream, interval_ms))
    notes = pump.hear(10.2)
    for kind, count in ((Telemetry, 20), (MotorTelemetry, 10), (PowerTelemetry, 5)):
        assert [note.sequence for note in notes if isinstance(note, kind)] == list(range(1, count + 1))
    pump.ask(Subscribe(Stream.MOTOR, 0))
    assert {type(note) for note in pump.hear(10.0)} == {Telemetry, PowerTelemetry}
    pump.hello(7)
    pump.hear(0.1)
    assert pump.hear(10.0) == []


def test_a_slow_line_shows_which_stream_suffered(host):
    pump = host(baud=1200)
    pump.ask(Subscribe(Stream.TELEMETRY, 100))
    pump.ask(Subscribe(Stream.POWER, 10_000))
    notes = pump.hear(300.0)
    pump.ask(Subscribe(Stream.TELEMETRY, 0))
    notes += pump.hear(30.0)
    for kind, most in ((Telemetry, 3000), (PowerTelemetry, 30)):
        samples = [note for note in notes if isinstance(note, kind)]
        missing = samples[-1].sequence - len(samples)
        assert 0 < missing == samples[-1].overflow <= most


@pytest.mark.parametrize(
    ("stream", "asked_ms", "used_ms", "shortest_ms"),
    [
        (Stream.TELEMETRY, 0, 0, 100),
        (Stream.TELEMETRY, 1, 100, 100),
        (Stream.TELEMETRY, 104, 100, 100),
        (Stream.MOTOR, 105, 110, 100),
        (Stream.POWER, 999, 1000, 1000),
        (Stream.POWER, 0xFFFF_FFFF, 4_294_967_290, 1000),
    ],
)
def test_the_interval_is_the_nearest_that_the_timer_can_do(host, stream, asked_ms, used_ms, shortest_ms):
    pump = host()
    assert pump.ask(Subscribe(stream, asked_ms)) == protocol.Subscription(stream, used_ms, shortest_ms)
    if 0 < used_ms < 10_000:
        times_us = [note.device_time_us for note in pump.hear(5.0) if hasattr(note, "overflow")]
        assert {later - earlier for earlier, later in itertools.pairwise(times_us)} == {1000 * used_ms}
