"""What a pump tells beside its status, and how alarms are acknowledged, whatever a frame or two suffers."""

from __future__ import annotations

import pytest

from driver import Bridge, Continuous, Flex, FlexStep, LinkTimeout, ObserverOnly, ReplyInvalid
from protocol import (
    AcknowledgeAlarms,
    Alarm,
    AlarmEntry,
    Alarms,
    AlarmsRequest,
    FirmwareInformation,
    FirmwareInformationRequest,
    Nak,
    NakReason,
    PatientBolusLimits,
    PatientBolusLimitsRequest,
    ProposeBridge,
    ProposeFlex,
    ProposePatientBolusLimits,
    ResetCause,
    SelfTestItem,
    SelfTestReport,
    SelfTestRequest,
    Severity,
    StatusRequest,
    Therapy,
    TherapyClock,
    TherapyClockRequest,
    TherapyRequest,
    Tone,
)

READS = {
    (TherapyRequest, Therapy): lambda pump: pump.therapy(),
    (PatientBolusLimitsRequest, PatientBolusLimits): lambda pump: pump.patient_bolus_limits(),
    (TherapyClockRequest, TherapyClock): lambda pump: pump.therapy_clock(),
    (FirmwareInformationRequest, FirmwareInformation): lambda pump: pump.firmware(),
    (AlarmsRequest, Alarms): lambda pump: pump.alarms(),
    (SelfTestRequest, SelfTestReport): lambda pump: pump.self_test(),
}


def entry(alarm):
    return AlarmEntry(alarm, Severity.CRITICAL, 1, 0, 17, 2, 0, Tone.DUAL)


@pytest.mark.parametrize("kind", ["lose", "corrupt", "duplicate", "delay"])
@pytest.mark.parametrize("read", READS, ids=lambda pair: pair[1].__name__)
def test_one_bad_frame_costs_at_most_a_retry_and_the_pump_is_asked_once(open_pump, wire, device, read, kind):
    request, reply = read
    with open_pump() as pump:
        for message in (request, reply):
            device.requests.clear()
            wire.fault(kind, message, delay_s=0.7 if kind == "delay" else 0.0)
            READS[read](pump)
            assert [type(each) for each in device.requests] == [request]
            assert pump.status().boot_id == 1


@pytest.mark.parametrize("read", READS, ids=lambda pair: pair[1].__name__)
def test_a_read_that_is_never_answered_is_a_time_out(open_pump, wire, read):
    with open_pump() as pump:
        wire.fault("lose", read[1], times=3)
        with pytest.raises(LinkTimeout, match=f"did not answer {read[0].__name__}"):
            READS[read](pump)


def test_the_therapy_in_force_is_the_proposal_it_came_from(open_pump):
    with open_pump() as pump:
        assert pump.therapy() is None
        dose = pump.start(Bridge(375.0, 8.33, 2.08))
        assert pump.therapy() == ProposeBridge(dose.id, 375.0, 8.33, 2.08, 0)
        pump.bolus(1.0, wait=False)
        assert isinstance(pump.therapy(), ProposeBridge)
        pump.start(Flex((FlexStep(0, 1.0),)))
        assert isinstance(pump.therapy(), ProposeFlex)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Therapy(1, 0x10, b"short"), "the pump's therapy cannot be read"),
        (Therapy(1, 0x7F, b""), "message type 0x7F is unknown"),
        (Therapy(1, StatusRequest.TYPE, b""), "StatusRequest for its therapy, which is no proposal"),
    ],
)
def test_a_therapy_that_is_none_is_named(open_pump, device, answer, sentence):
    device._on_TherapyRequest = lambda _: answer
    with open_pump() as pump, pytest.raises(ReplyInvalid, match=sentence):
        pump.therapy()


def test_the_limits_and_the_firmware_are_told(open_pump, device):
    device.limits = ProposePatientBolusLimits(0, 1, 5.0, 300.0, 7200, 4, 86_400, 500.0)
    with open_pump() as pump:
        assert pump.patient_bolus_limits() == PatientBolusLimits(1, 5.0, 300.0, 7200, 4, 86_400, 500.0, 0, 0)
        known = pump.firmware()
    assert (known.bootloader_version, known.hardware_revision, known.uptime_s) == ("boot-2", "rev-C", 17)
    assert known.reset_cause == ResetCause.POWER_ON


def test_an_alarm_is_acknowledged_and_kept_quiet(open_pump, device):
    device.alarms = {alarm: entry(alarm) for alarm in (Alarm.MOTOR_STALL, Alarm.LOW_BATTERY)}
    with open_pump() as pump:
        pump.acknowledge(Alarm.MOTOR_STALL, 600)
        listed = {each.alarm: each for each in pump.alarms().entries}
    assert (listed[Alarm.MOTOR_STALL].acknowledged, listed[Alarm.MOTOR_STALL].silent_for_s) == (1, 600)
    assert listed[Alarm.LOW_BATTERY].acknowledged == 0


def test_an_acknowledgement_whose_reply_is_lost_is_done_once(open_pump, wire, device):
    with open_pump() as pump:
        wire.fault("lose", AcknowledgeAlarms)
        pump.acknowledge(Alarm.MOTOR_STALL | Alarm.LOW_BATTERY)
    asked = [each for each in device.requests if isinstance(each, AcknowledgeAlarms)]
    assert asked == [AcknowledgeAlarms(Alarm.MOTOR_STALL | Alarm.LOW_BATTERY, 0)]


def test_an_acknowledgement_of_nothing_or_for_no_time_is_refused(open_pump, device):
    with open_pump() as pump:
        with pytest.raises(ValueError, match="no alarm is named"):
            pump.acknowledge(Alarm(0))
        with pytest.raises(ValueError, match="an alarm's silence must be a whole number of seconds"):
            pump.acknowledge(Alarm.MOTOR_STALL, -1)
    assert not [each for each in device.requests if isinstance(each, AcknowledgeAlarms)]


def test_a_self_test_names_what_it_found(open_pump, device):
    with open_pump() as pump:
        report = pump.self_test()
        assert (report.failed, report.not_run) == (SelfTestItem.BATTERY, SelfTestItem.MOTOR)
        assert pump.self_test(SelfTestItem.MEMORY).passed == SelfTestItem.MEMORY
    asked = [each.items for each in device.requests if isinstance(each, SelfTestRequest)]
    assert asked == [0, SelfTestItem.MEMORY]


def test_an_observer_reads_and_neither_acknowledges_nor_tests(open_pump, device):
    device.refuse[SelfTestRequest] = Nak(NakReason.WRONG_STATE, "running")
    with open_pump() as running:
        running.start(Continuous(20.0))
        with open_pump(observe=True) as pump:
            assert pump.therapy() is not None
            assert pump.alarms().entries == ()
            for action in (lambda: pump.acknowledge(Alarm.MOTOR_STALL), pump.self_test):
                with pytest.raises(ObserverOnly):
                    action()
