"""The control lease: taken, renewed while the driver waits, lost and told of, given back on leaving."""

from __future__ import annotations

import pytest

from driver import (
    Continuous,
    DriverError,
    Flex,
    FlexStep,
    LeaseHeld,
    LinkTimeout,
    NakError,
    NoLease,
    ObserverOnly,
    ReplyInvalid,
    StopUnconfirmed,
    Trial,
)
from protocol import (
    Ack,
    Alarm,
    Lease,
    LeaseRelease,
    LeaseRequest,
    LeaseStatusRequest,
    Mode,
    Nak,
    NakReason,
    OnLeaseLoss,
    StatusRequest,
    Stop,
    encode,
)

STOPPING = Continuous(20.0, OnLeaseLoss.STOP)


def asked(device, kind):
    return [request for request in device.requests if isinstance(request, kind)]


@pytest.fixture
def somebody_else(device, clock):
    """Another host holds the lease for 300 s."""
    device.lease = (9, clock.monotonic() + 300.0, "bench B")


@pytest.mark.parametrize(
    "therapy", [STOPPING, Trial(20.0, 60, OnLeaseLoss.STOP), Flex((FlexStep(0, 1.0),), OnLeaseLoss.STOP)]
)
def test_a_therapy_that_depends_on_the_lease_is_refused_without_one_before_a_byte_is_sent(open_pump, wire, therapy):
    with open_pump() as pump:
        del wire.log[:]
        with pytest.raises(NoLease, match=r"^hand:pump: a therapy that stops .* needs one \(none was taken\); take it"):
            pump.start(therapy)
        assert wire.log == []


def test_with_the_lease_it_runs_and_the_lease_is_given_back_on_leaving(open_pump, device):
    with open_pump() as pump:
        with pump.take_control(60.0, holder="bench A") as lease:
            pump.start(STOPPING)
            assert (lease.is_held, lease.lease_id) == (True, 101)
            assert pump.control() == Lease(101, pytest.approx(60_000, abs=100), "bench A")
        assert (lease.is_held, lease.lease_id, device.lease) == (False, 0, None)
        assert device.mode == Mode.CONTINUOUS
        with pytest.raises(NoLease, match="it was released"):
            pump.start(STOPPING)
    assert asked(device, LeaseRequest) == [LeaseRequest(0, 60_000, "bench A")]
    assert asked(device, LeaseRelease) == [LeaseRelease(101)]


def test_leaving_the_pump_stops_first_and_then_gives_the_lease_back(open_pump, wire, device):
    with open_pump() as pump:
        pump.take_control(60.0, holder="bench A")
        pump.start(STOPPING)
    sent = [entry for entry in wire.log if entry in ("sent Stop", "sent LeaseRelease")]
    assert sent == ["sent Stop", "sent LeaseRelease"]
    assert device.lease is None


@pytest.mark.parametrize("order", [lambda p: p.bolus(1.0), lambda p: p.start(STOPPING), lambda p: p.refill(1.0)])
def test_who_takes_the_lease_may_order(open_pump, device, order):
    with open_pump() as pump, pump.take_control(holder="bench A"):
        assert order(pump).id == 1
    assert device.commits == [1]


@pytest.mark.usefixtures("somebody_else")
@pytest.mark.parametrize(
    ("action", "request_name"),
    [
        (lambda pump: pump.take_control(60.0, holder="bench A"), "LeaseRequest"),
        (lambda pump: pump.bolus(1.0), "ProposeBolus"),
        (lambda pump: pump.start(Continuous(1.0)), "ProposeContinuous"),
        (lambda pump: pump.acknowledge(Alarm.MOTOR_STALL), "AcknowledgeAlarms"),
        (lambda pump: pump.self_test(), "SelfTestRequest"),
    ],
)
def test_a_lease_held_elsewhere_is_named_with_its_holder_and_how_long(open_pump, device, action, request_name):
    with open_pump() as pump:
        with pytest.raises(
            LeaseHeld,
            match=rf"refused {request_name}, because the control lease is held by bench B for 300 s more; wait",
        ) as caught:
            action(pump)
        assert (caught.value.holder, caught.value.reason) == ("bench B", NakReason.LEASE_HELD)
        assert caught.value.remaining_s == pytest.approx(300.0, abs=1.0)
        assert pump.uncertain_doses == ()
        pump.status()
        pump.stop()
    assert device.commits == []


@pytest.mark.usefixtures("somebody_else")
def test_where_the_holder_cannot_be_asked_for_the_pumps_own_words_are_told(open_pump, wire):
    with open_pump() as pump:
        wire.fault("lose", LeaseStatusRequest, times=3)
        with pytest.raises(LeaseHeld, match="because the control lease is held by bench B for 300 s; wait"):
            pump.bolus(1.0)


@pytest.mark.parametrize("kind", ["lose", "corrupt", "duplicate", "delay"])
@pytest.mark.parametrize("message", [LeaseRequest, Lease, LeaseRelease, Ack])
def test_one_bad_frame_takes_and_releases_no_second_lease(open_pump, wire, device, kind, message):
    with open_pump() as pump:
        wire.fault(kind, message, delay_s=0.7 if kind == "delay" else 0.0)
        with pump.take_control(60.0, holder="bench A"):
            pump.bolus(1.0)
    assert (device.leases_granted, device.lease) == (1, None)


def test_a_lease_granted_by_a_reply_that_got_lost_is_found_again(open_pump, wire, device):
    with open_pump() as pump:
        wire.fault("lose", Lease, times=3)
        with pytest.raises(LinkTimeout):
            pump.take_control(60.0, holder="bench A")
        with pump.take_control(60.0, holder="bench A") as lease:
            assert lease.lease_id == 101
            assert pump.bolus(1.0).id == 1
    assert device.leases_granted == 1


def test_service_renews_when_a_third_is_used_up(open_pump, device, clock):
    with open_pump() as pump, pump.take_control(30.0, holder="bench A") as lease:
        pump.start(STOPPING)
        for _ in range(1000):
            clock.sleep(1.0)
            pump.service()
        assert lease.is_held
        assert pump.status().mode == Mode.CONTINUOUS
        renewals = asked(device, LeaseRequest)[1:]
        assert set(renewals) == {LeaseRequest(101, 30_000, "bench A")}
        assert 95 <= len(renewals) <= 101


def test_waiting_for_a_bolus_renews_the_lease(open_pump, device):
    with open_pump() as pump, pump.take_control(2.0, holder="bench A"):
        pump.bolus(10.0, rate_ul_per_h=100.0)
        assert pump.start(STOPPING).id == 2
    assert device.leases_granted == 1


def test_a_renewal_without_an_answer_is_tried_again(open_pump, wire, clock):
    with open_pump() as pump, pump.take_control(60.0, holder="bench A") as lease:
        clock.sleep(25.0)
        wire.fault("lose", Lease, times=3)
        pump.service()
        assert lease.is_held
        clock.sleep(6.0)
        pump.service()
        clock.sleep(55.0)
        assert lease.is_held


def test_a_renewal_that_is_refused_for_now_is_tried_again(open_pump, device, clock):
    with open_pump() as pump, pump.take_control(60.0, holder="bench A") as lease:
        pump.start(STOPPING)
        clock.sleep(25.0)
        device.refuse[LeaseRequest] = Nak(NakReason.BUSY, "")
        pump.service()
        device.refuse.clear()
        clock.sleep(6.0)
        pump.service()
        clock.sleep(55.0)
        assert lease.is_held
        assert pump.status().mode == Mode.CONTINUOUS


def test_taking_a_lease_that_the_pump_has_lost_unnoticed_gives_a_new_one(open_pump, device):
    with open_pump() as pump:
        pump.take_control(60.0, holder="bench A")
        device.reset()
        assert pump.take_control(60.0, holder="bench A").lease_id == 102
        assert pump.start(STOPPING).id == 1


def test_a_lease_of_an_earlier_session_that_is_over_is_not_replaced_unasked(open_pump):
    with open_pump() as pump, pytest.raises(NakError, match="refused LeaseRequest with NO_LEASE"):
        pump.take_control(60.0, holder="bench A", lease_id=101)


def test_a_lease_that_ran_out_is_told_of_once_and_what_depended_on_it_has_stopped(open_pump, clock):
    with open_pump() as pump:
        lease = pump.take_control(30.0, holder="bench A")
        pump.start(STOPPING)
        clock.sleep(31.0)
        assert not lease.is_held
        with pytest.raises(NoLease, match=r"the control lease is lost \(it ran out before it could be renewed\)"):
            pump.service()
        pump.service()
        with pytest.raises(NoLease, match="it ran out before it could be renewed"):
            pump.start(STOPPING)
        assert pump.status().mode == Mode.STOPPED
        pump.take_control(30.0, holder="bench A")
        assert pump.start(STOPPING).id == 2


def test_a_lease_that_somebody_else_took_meanwhile_is_lost_at_the_renewal(open_pump, device, clock):
    with open_pump() as pump:
        pump.take_control(30.0, holder="bench A")
        clock.sleep(15.0)
        device.lease, device.may_control = (9, clock.monotonic() + 300.0, "bench B"), False
        with pytest.raises(NoLease, match="refused LeaseRequest with LEASE_HELD, saying “held by bench B for 300 s”"):
            pump.service()


def test_a_reset_of_the_pump_ends_the_lease(open_pump, device):
    with open_pump() as pump:
        lease = pump.take_control(60.0, holder="bench A")
        device.reset()
        with pytest.raises(NoLease, match="the pump restarted"):
            pump.start(STOPPING)
        assert not lease.is_held
        assert device.commits == []


def test_after_reopening_the_lease_is_renewed_by_its_id_and_refused_without(open_pump, device, disk):
    first = open_pump()
    lease_id = first.take_control(60.0, holder="bench A").lease_id
    first.start(STOPPING)
    disk.kill()
    with open_pump() as pump:
        with pytest.raises(LeaseHeld, match=r"held by bench A .* renew it by its lease_id if it is yours"):
            pump.start(Continuous(30.0))
        pump.take_control(60.0, holder="bench A", lease_id=lease_id)
        assert pump.start(STOPPING).id == 3
    assert device.leases_granted == 1
    assert device.commits == [1, 3]


@pytest.mark.parametrize("granted", [Lease(0, 60_000, "bench A"), Lease(101, 0, "bench A")])
def test_a_grant_that_is_none_is_no_lease(open_pump, device, granted):
    device._on_LeaseRequest = lambda _: granted
    with open_pump() as pump:
        with pytest.raises(ReplyInvalid, match="grants the control lease without an id or for no time"):
            pump.take_control(60.0, holder="bench A")
        with pytest.raises(NoLease):
            pump.start(STOPPING)


def test_taking_it_again_renews_it_with_another_duration(open_pump, device):
    with open_pump() as pump:
        pump.take_control(60.0, holder="bench A")
        assert pump.take_control(600.0, holder="bench A").lease_id == 101
        assert pump.control().remaining_ms == pytest.approx(600_000, abs=100)
    assert device.leases_granted == 1


def test_an_already_lost_lease_needs_no_release(open_pump, device, clock):
    with open_pump() as pump, pump.take_control(30.0, holder="bench A"):
        clock.sleep(40.0)
    assert asked(device, LeaseRelease) == [LeaseRelease(101)]


def test_a_release_that_is_refused_for_another_reason_is_an_error(open_pump, device):
    device.refuse[LeaseRelease] = Nak(NakReason.BUSY, "")
    with open_pump() as pump, pytest.raises(DriverError, match="refused LeaseRelease with BUSY"):  # noqa: SIM117
        with pump.take_control(30.0, holder="bench A"):
            pass


def test_an_exception_keeps_the_lease_until_the_pump_is_stopped(open_pump, wire, device):
    def fail_with_the_lease(pump):
        with pump.take_control(30.0, holder="bench A"):
            pump.start(STOPPING)
            raise ZeroDivisionError

    with open_pump() as pump:
        with pytest.raises(ZeroDivisionError):
            fail_with_the_lease(pump)
        assert device.lease is not None
    assert wire.log.index("sent Stop") < wire.log.index("sent LeaseRelease")
    assert device.lease is None


def test_a_pump_that_cannot_be_stopped_keeps_the_lease_and_stops_when_it_runs_out(open_pump, wire, device, clock):
    pump = open_pump()
    pump.take_control(30.0, holder="bench A")
    pump.start(STOPPING)
    wire.fault("lose", Stop, times=99)
    with pytest.raises(StopUnconfirmed):
        pump.close()
    assert "sent LeaseRelease" not in wire.log
    assert device.mode == Mode.CONTINUOUS
    clock.sleep(31.0)
    device.receive(encode(StatusRequest(), seq=999))
    assert device.mode == Mode.STOPPED


@pytest.mark.parametrize("duration_s", [0.0, 0.999, 86_401.0, float("nan")])
def test_a_lease_of_another_length_than_the_pump_gives_is_refused(open_pump, duration_s):
    with open_pump() as pump, pytest.raises(ValueError, match="lasts 1 s to 86400 s"):
        pump.take_control(duration_s, holder="bench A")


@pytest.mark.parametrize("holder", ["", " ", "ä" * 13])
def test_a_holder_without_a_name_that_fits_is_refused(open_pump, holder):
    with open_pump() as pump, pytest.raises(ValueError, match="a name of at most 24 bytes"):
        pump.take_control(60.0, holder=holder)


def test_an_observer_sees_who_holds_it_and_takes_none(open_pump, device):
    with open_pump() as holding:
        holding.take_control(60.0, holder="bench A")
        with open_pump(observe=True) as pump:
            with pytest.raises(ObserverOnly):
                pump.take_control(60.0, holder="bench A")
            assert (pump.control().lease_id, pump.control().holder) == (0, "bench A")
    assert len(asked(device, LeaseRequest)) == 1
