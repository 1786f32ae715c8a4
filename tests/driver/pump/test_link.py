"""The link under loss, damage, repetition and delay of single frames."""

from __future__ import annotations

import pytest

from driver import LinkTimeout, NakError, PortLost
from driver.link import Link
from protocol import (
    Calibration,
    CalibrationRequest,
    Nak,
    NakReason,
    Status,
    StatusRequest,
    Stream,
    Subscribe,
    Subscription,
)


@pytest.fixture
def link(wire, clock):
    return Link(wire, clock)


def test_a_request_gets_its_reply(link):
    assert link.request(StatusRequest(), Status).battery_mv == 2800


@pytest.mark.parametrize("kind", ["lose", "corrupt", "duplicate"])
@pytest.mark.parametrize("message", [StatusRequest, Status])
def test_one_bad_frame_costs_at_most_a_retry_and_the_pump_acts_once(link, wire, device, kind, message):
    wire.fault(kind, message)
    assert link.request(StatusRequest(), Status).boot_id == 1
    assert link.request(CalibrationRequest(), Calibration).generation == 3
    assert [type(request) for request in device.requests] == [StatusRequest, CalibrationRequest]


def test_a_reply_that_comes_after_the_time_out_is_never_taken_for_the_next(link, wire, clock):
    wire.fault("delay", Calibration, times=3, delay_s=1.6)
    with pytest.raises(LinkTimeout, match="hand:pump: the pump did not answer CalibrationRequest"):
        link.request(CalibrationRequest(), Calibration)
    assert clock.monotonic() == pytest.approx(1.5, abs=0.01)
    for _ in range(4):
        assert isinstance(link.request(StatusRequest(), Status), Status)
        clock.sleep(0.5)
    assert link.session.stale_replies == 3


def test_an_overall_time_out_ends_the_wait_early_and_the_link_stays_usable(link, wire, clock):
    wire.fault("lose", Status, times=1)
    with pytest.raises(LinkTimeout):
        link.request(StatusRequest(), Status, timeout_s=0.2)
    assert clock.monotonic() == pytest.approx(0.2, abs=0.01)
    assert link.request(CalibrationRequest(), Calibration).generation == 3


def test_a_refusal_carries_reason_and_the_pumps_own_words(link, device):
    device.refuse[StatusRequest] = Nak(NakReason.WRONG_STATE, "not while asleep")
    with pytest.raises(NakError, match="refused StatusRequest with WRONG_STATE, saying “not while asleep”") as caught:
        link.request(StatusRequest(), Status)
    assert (caught.value.reason, caught.value.detail) == (NakReason.WRONG_STATE, "not while asleep")


def test_a_lost_port_is_named_and_its_first_cause_repeated(link, wire):
    wire.unplugged = True
    for _ in range(2):
        with pytest.raises(PortLost, match=r"^hand:pump: the connection is gone \(unplugged\)"):
            link.request(StatusRequest(), Status)
    with pytest.raises(PortLost, match="unplugged"):
        link.service()


def test_service_does_not_read_when_nothing_came(link, wire):
    for _ in range(100):
        link.service()
    assert wire.reads == 0


def test_notifications_between_request_and_reply_are_kept_in_order(link, wire, event):
    wire.send_unasked(event(0))
    wire.send_unasked(event(1))
    link.request(Subscribe(Stream.TELEMETRY, 1000), Subscription)
    wire.send_unasked(event(2))
    link.request(StatusRequest(), Status)
    assert [item.sequence for item in link.drain().events] == [0, 1, 2]


def test_an_interrupt_between_queueing_and_sending_leaves_the_link_usable(link, monkeypatch):
    queue = link.session.request

    def interrupted(message, now):
        queue(message, now)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(link.session, "request", interrupted)
        with pytest.raises(KeyboardInterrupt):
            link.request(StatusRequest(), Status)
    assert link.request(CalibrationRequest(), Calibration).generation == 3


def test_an_interrupted_request_leaves_the_link_usable(link, wire):
    wire.fault("interrupt", StatusRequest)
    with pytest.raises(KeyboardInterrupt):
        link.request(StatusRequest(), Status)
    assert link.request(CalibrationRequest(), Calibration).generation == 3
