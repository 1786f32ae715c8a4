"""The telemetry stream: on time, numbered, and honest about what it dropped."""

import itertools

import pytest

import protocol
from protocol import Mode, ProposeContinuous, Subscribe, Telemetry


def test_samples_come_at_the_interval_with_rising_numbers(host):
    pump = host()
    pump.hear(1.0)
    pump.do(ProposeContinuous(1, 1000.0))
    assert pump.ask(Subscribe(1, 10_000)) == protocol.Ack()
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
    """A sample of some 70 bytes every 0.1 s does not fit through 1200 baud."""
    pump = host(baud=1200)
    pump.ask(Subscribe(1, 100))
    samples = [note for note in pump.hear(60.0) if isinstance(note, Telemetry)]
    assert samples[-1].overflow > 0
    missing = samples[-1].sequence - len(samples)
    assert missing == samples[-1].overflow
    pump.world.close()
    assert pump.world.ledger.open().evidence["pump.telemetry_overflow"] >= missing
