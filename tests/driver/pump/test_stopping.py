"""Leaving a pump stops what it started, whatever is the reason for leaving; an observer touches nothing."""

from __future__ import annotations

import pytest

from driver import Continuous, DoseUncertain, NakError, ObserverOnly, StopUnconfirmed
from protocol import CommandResult, Commit, Mode, Nak, NakReason, Stop, Stopped, Subscribe


def stops(wire):
    return wire.log.count("sent Stop")


@pytest.fixture
def infuse_then(open_pump):
    """Opens the pump, starts an infusion, does something more, and leaves; gives the pump behind `infuse_then.pump`."""

    def run(more):
        with open_pump() as pump:
            run.pump = pump
            pump.start(Continuous(20.0))
            more(pump)

    return run


def fail(_):
    raise ZeroDivisionError


def interrupt(_):
    raise KeyboardInterrupt


def test_leaving_the_context_stops_an_infusion(open_pump, wire, device):
    with open_pump() as pump:
        pump.start(Continuous(20.0))
    assert device.mode == Mode.STOPPED
    assert stops(wire) == 1


def test_leaving_by_an_exception_stops_too_and_the_exception_passes(infuse_then, device):
    with pytest.raises(ZeroDivisionError):
        infuse_then(fail)
    assert device.mode == Mode.STOPPED


@pytest.mark.parametrize("moment", [Commit, Stop])
def test_an_interrupt_stops_the_pump_even_in_the_middle_of_an_exchange(infuse_then, wire, device, moment):
    wire.fault("interrupt", moment)
    with pytest.raises(KeyboardInterrupt):
        infuse_then(lambda pump: pump.stop())
    assert device.mode == Mode.STOPPED
    assert infuse_then.pump.unconfirmed_stop is None


def test_an_interrupted_commit_is_not_tried_again_ahead_of_the_stop(infuse_then, wire, device, clock):
    wire.fault("lose", Commit)
    clock.after(0.7, wire.interrupt)
    wire.fault("lose", Commit)
    with pytest.raises(KeyboardInterrupt):
        infuse_then(lambda _: None)
    assert wire.log.count("sent Commit") == 2
    assert stops(wire) == 1
    assert device.commits == []


def test_an_interrupt_while_a_request_is_being_queued_does_not_keep_the_stop_back(infuse_then, device):
    def interrupt_queueing(pump):
        session = pump._link.session
        queue = session.request

        def interrupted(message, now):
            session.request = queue
            queue(message, now)
            raise KeyboardInterrupt

        session.request = interrupted
        pump.status()

    with pytest.raises(KeyboardInterrupt):
        infuse_then(interrupt_queueing)
    assert device.mode == Mode.STOPPED
    assert infuse_then.pump.unconfirmed_stop is None


def test_closing_without_a_context_stops_as_well(open_pump, device):
    pump = open_pump()
    pump.start(Continuous(20.0))
    pump.close()
    pump.close()
    assert device.mode == Mode.STOPPED


def test_what_has_ended_by_itself_needs_no_stop(open_pump, wire):
    with open_pump() as pump:
        pump.bolus(1.0)
        pump.write_calibration(10.5)
        pump.start(Continuous(20.0))
        report = pump.stop()
    assert stops(wire) == 1
    assert (report.steps, report.delivered_ul, report.journal_fault) == (4711, 1.25, None)


def test_an_infusion_of_an_earlier_process_is_left_alone(open_pump, wire, device, disk):
    first = open_pump()
    first.start(Continuous(20.0))
    disk.kill()
    with open_pump() as pump:
        assert pump.status().mode == Mode.CONTINUOUS
        assert pump.uncertain_doses == ()
    assert stops(wire) == 0


def test_an_observer_sends_no_stop_and_cannot_dose(open_pump, wire, device):
    running = open_pump()
    running.start(Continuous(20.0))
    with open_pump(observe=True) as watcher:
        assert watcher.status().mode == Mode.CONTINUOUS
        for action in (
            lambda: watcher.bolus(1.0),
            lambda: watcher.start(Continuous(1.0)),
            lambda: watcher.write_calibration(10.0),
        ):
            with pytest.raises(ObserverOnly, match="opened with observe=True"):
                action()
    assert stops(wire) == 0
    assert device.mode == Mode.CONTINUOUS


def test_even_an_observer_may_stop_when_told_to(open_pump, device):
    running = open_pump()
    running.start(Continuous(20.0))
    with open_pump(observe=True) as watcher:
        watcher.stop()
    assert device.mode == Mode.STOPPED


def test_stop_goes_out_before_the_journal_is_touched_and_works_with_a_broken_disk(open_pump, wire, disk):
    with open_pump() as pump:
        pump.start(Continuous(20.0))
        del disk.log[:]
        pump.stop()
        assert disk.log[0] == "sent Stop"
        assert any(entry.startswith('disk {"record":"stop"') for entry in disk.log)
        pump.start(Continuous(20.0))
        disk.broken = True
        report = pump.stop()
    assert "Input/output error" in report.journal_fault
    assert stops(wire) == 2


def test_stops_on_a_full_disk_never_take_the_room_that_is_kept_for_the_outcome_of_a_dose(open_pump, wire, disk):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=999)
        with pytest.raises(DoseUncertain):
            pump.bolus(10.0)
        disk.room = 0
        assert pump.stop().journal_fault is None
        assert [pump.stop().journal_fault is None for _ in range(200)][-1] is False
        wire.faults.clear()
        assert pump.dose(1).said == "STOPPED"
        assert pump.journal_fault is None
    assert stops(wire) == 201


def test_a_refused_change_of_rate_still_ends_in_a_stop(infuse_then, device):
    def change(pump):
        device.refuse[Commit] = Nak(NakReason.BUSY, "")
        pump.start(Continuous(30.0))

    with pytest.raises(NakError):
        infuse_then(change)
    assert device.mode == Mode.STOPPED


def test_stop_works_while_a_dose_is_uncertain(infuse_then, wire, device):
    def change(pump):
        wire.fault("lose", CommandResult, times=99)
        pump.start(Continuous(30.0))

    with pytest.raises(DoseUncertain):
        infuse_then(change)
    assert device.mode == Mode.STOPPED


def test_an_uncertain_infusion_taken_over_by_an_operator_is_still_stopped_on_leaving(open_pump, wire, device):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=12)
        with pytest.raises(DoseUncertain):
            pump.start(Continuous(20.0))
        pump.resolve(1, by="R. Vogel", because="weighed")
        assert device.mode == Mode.CONTINUOUS
    assert stops(wire) == 1
    assert device.mode == Mode.STOPPED


def test_lost_stops_are_sent_again_until_confirmed(open_pump, wire, device):
    with open_pump() as pump:
        pump.start(Continuous(20.0))
        wire.fault("lose", Stopped, times=8)
    assert stops(wire) == 9
    assert device.mode == Mode.STOPPED


def test_an_unconfirmed_stop_is_raised_with_the_port_and_what_to_do(infuse_then, wire):
    with pytest.raises(StopUnconfirmed, match=r"^hand:pump: STOP is not confirmed \(no answer came\)") as caught:
        infuse_then(lambda _: wire.fault("lose", Stop, times=99))
    assert "close the stopcock" in str(caught.value)
    assert infuse_then.pump.unconfirmed_stop is caught.value


def test_an_unconfirmed_stop_tells_of_a_lost_port_without_a_second_thing_to_do(infuse_then, wire):
    with pytest.raises(StopUnconfirmed) as caught:
        infuse_then(lambda _: setattr(wire, "unplugged", True))
    assert str(caught.value) == (
        "hand:pump: STOP is not confirmed (the connection is gone (unplugged)) and the pump may still be delivering: "
        "close the stopcock, restore the connection, then stop the pump again"
    )


def test_an_unconfirmed_stop_outranks_the_exception_it_follows(infuse_then, wire):
    def fail_unplugged(pump):
        wire.unplugged = True
        fail(pump)

    with pytest.raises(StopUnconfirmed) as caught:
        infuse_then(fail_unplugged)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_interrupt_stays_an_interrupt_and_carries_the_unconfirmed_stop(infuse_then, wire):
    def interrupt_unplugged(pump):
        wire.unplugged = True
        interrupt(pump)

    with pytest.raises(KeyboardInterrupt) as caught:
        infuse_then(interrupt_unplugged)
    assert caught.value.__notes__ == [str(infuse_then.pump.unconfirmed_stop)]


def test_a_second_interrupt_during_the_stop_leaves_it_marked_unconfirmed(infuse_then, wire):
    wire.fault("interrupt", Stop)
    with pytest.raises(KeyboardInterrupt):
        infuse_then(interrupt)
    assert "was interrupted" in str(infuse_then.pump.unconfirmed_stop)


def test_a_refused_stop_is_sent_again_with_another_seq(open_pump, wire, device):
    """Another host at the same port may have used the next 16 seqs, which the pump still remembers."""
    stop, taken = device._on_Stop, iter(range(16))
    device._on_Stop = lambda m: stop(m) if next(taken, None) is None else Nak(NakReason.SEQ_REUSED, "in use")
    with open_pump() as pump:
        pump.start(Continuous(20.0))
        pump.stop()
    assert device.mode == Mode.STOPPED
    assert stops(wire) == 17


def test_a_stop_that_is_always_refused_is_unconfirmed_in_the_pumps_own_words(open_pump, device):
    device.refuse[Stop] = Nak(NakReason.BUSY, "writing")
    with (
        open_pump() as pump,
        pytest.raises(StopUnconfirmed, match=r"refused Stop with BUSY, saying “writing”\) and the"),
    ):
        pump.stop()


def test_a_pump_that_confirms_a_stop_and_says_that_it_still_runs_is_not_stopped(open_pump, wire, device, disk):
    stop, deaf = device._on_Stop, iter([True])
    device._on_Stop = lambda m: Stopped(0, 0, 0.0) if next(deaf, False) else stop(m)
    with open_pump() as pump:
        pump.start(Continuous(20.0))
        with pytest.raises(StopUnconfirmed, match=r"the pump answers it and says that command 1 still runs"):
            pump.stop()
        assert '"record":"stop"' in disk.log[-1]
        assert '"confirmed":false' in disk.log[-1]
    assert stops(wire) == 2
    assert device.mode == Mode.STOPPED


def test_telemetry_is_ended_on_leaving(open_pump, wire, device):
    with open_pump() as pump:
        pump.subscribe(1.0)
    asked = [request.interval_ms for request in device.requests if isinstance(request, Subscribe)]
    assert asked == [1000, 0]
