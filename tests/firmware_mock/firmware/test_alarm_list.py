"""The alarm list: what is active or unseen, how often it came, and how long its tone keeps quiet."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import (
    Ack,
    AcknowledgeAlarms,
    Alarm,
    EventCode,
    NakReason,
    Proposal,
    ProposeBolus,
    ProposeContinuous,
    ProposeRefill,
    Severity,
)

HOUR_S = 3600.0


def test_an_alarm_that_came_and_went_stays_listed_until_somebody_has_seen_it(host):
    pump = host(filled_ul=1_000.0)
    assert pump.alarms()[Alarm.LOW_RESERVOIR].active == 1
    pump.do(ProposeRefill(1, 20_000.0))
    entry = pump.alarms()[Alarm.LOW_RESERVOIR]
    assert (entry.active, entry.acknowledged, entry.times, entry.severity) == (0, 0, 1, Severity.NON_CRITICAL)
    assert pump.ask(AcknowledgeAlarms(Alarm.LOW_RESERVOIR, 600)) == Ack()
    assert pump.alarms() == {}


def test_acknowledging_ends_no_alarm_and_its_tone_returns(host):
    pump = host(filled_ul=0.0)
    pump.ask(AcknowledgeAlarms(Alarm.EMPTY_RESERVOIR, 100))
    entries = pump.alarms()
    empty, low = entries[Alarm.EMPTY_RESERVOIR], entries[Alarm.LOW_RESERVOIR]
    assert (empty.active, empty.acknowledged, empty.silent_for_s, empty.severity) == (1, 1, 100, Severity.CRITICAL)
    assert (low.active, low.acknowledged, low.silent_for_s) == (1, 0, 0)
    pump.world.sleep(60.0)
    assert pump.alarms()[Alarm.EMPTY_RESERVOIR].silent_for_s == 40
    pump.world.sleep(60.0)
    assert pump.alarms()[Alarm.EMPTY_RESERVOIR].silent_for_s == 0
    assert pump.status().alarms == Alarm.EMPTY_RESERVOIR | Alarm.LOW_RESERVOIR


def test_an_acknowledgement_is_on_record_before_it_is_answered(host):
    pump = host(filled_ul=0.0)
    pump.hear(0.1)
    pump.ask(AcknowledgeAlarms(Alarm.EMPTY_RESERVOIR | Alarm.LOW_RESERVOIR | Alarm.LOW_BATTERY, 0))
    seen = int(Alarm.EMPTY_RESERVOIR | Alarm.LOW_RESERVOIR)
    assert [(event.code, event.argument) for event in pump.notes] == [(EventCode.ALARM_ACKNOWLEDGED, seen)]
    pump.notes.clear()
    assert pump.ask(AcknowledgeAlarms(Alarm.LOW_BATTERY | 1 << 31, 0)) == Ack()
    assert pump.notes == []


def test_standing_for_48_h_is_an_alarm_through_resets_until_something_runs(host):
    pump = host(clock_error_ppm=1000.0)
    pump.world.sleep(47.9 * HOUR_S)
    pump.pump.reboot()
    assert pump.alarms() == {}
    pump.world.sleep(0.1 * HOUR_S)
    entry = pump.alarms()[Alarm.STOPPED_TOO_LONG]
    assert (entry.active, entry.severity) == (1, Severity.CRITICAL)
    raised_h = 47.9 + entry.raised_at_us / 3.6e9
    assert abs(raised_h - 48.0 / 1.001) < 2e-3
    pump.pump.reboot()
    assert pump.status().alarms == Alarm.STOPPED_TOO_LONG
    pump.do(ProposeBolus(1, 10.0, 0.0))
    assert pump.status().alarms == 0
    assert pump.alarms()[Alarm.STOPPED_TOO_LONG].active == 0
    pump.world.sleep(47.9 * HOUR_S)
    assert pump.status().alarms == 0
    pump.world.sleep(0.2 * HOUR_S)
    entry = pump.alarms()[Alarm.STOPPED_TOO_LONG]
    assert (entry.active, entry.times) == (1, 2)


def test_standing_for_48_h_is_announced_once_and_again_after_the_next_stand(host):
    pump = host()
    assert [event.code for event in pump.hear(47.9 * HOUR_S)] == [EventCode.BOOT]
    announced = [(event.code, event.argument) for event in pump.hear(100.0 * HOUR_S)]
    assert announced == [(EventCode.STOPPED_TOO_LONG, Alarm.STOPPED_TOO_LONG)]
    pump.do(ProposeBolus(1, 10.0, 0.0))
    later = [event.code for event in pump.hear(49.0 * HOUR_S)]
    assert later == [EventCode.STARTED, EventCode.BOLUS_DONE, EventCode.STOPPED_TOO_LONG]


def do_unless_empty(pump, request):
    reply = pump.propose(request)
    if isinstance(reply, Proposal):
        pump.commit(reply)
    else:
        assert (reply.reason, reply.detail) == (NakReason.WRONG_STATE, "the reservoir is empty")
        assert pump.status().alarms & Alarm.EMPTY_RESERVOIR


STEPS = st.one_of(
    st.tuples(st.just("refill"), st.sampled_from([0.0, 500.0, 1999.0, 2500.0, 20_000.0])),
    st.tuples(st.just("bolus"), st.floats(100.0, 1000.0)),
    st.tuples(st.just("infuse"), st.floats(100.0, 1000.0)),
    st.tuples(st.just("stop")),
    st.tuples(st.just("sleep"), st.floats(0.1, 60.0)),
    st.tuples(
        st.just("acknowledge"),
        st.sampled_from([Alarm.LOW_RESERVOIR, Alarm.EMPTY_RESERVOIR, Alarm.STOPPED_TOO_LONG, Alarm(0xFFFF)]),
    ),
    st.tuples(st.just("reset")),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=3, max_size=25))
def test_the_list_is_what_status_shows_plus_what_nobody_has_seen(host, script):
    """A model that knows nothing but the status, asked every quarter of an hour, and the acknowledgements."""
    pump = host(filled_ul=3_000.0)
    before, unseen, times = Alarm(0), Alarm(0), dict.fromkeys(Alarm, 0)

    def look():
        nonlocal before, unseen
        now = pump.status().alarms
        for alarm in Alarm:
            if alarm & now & ~before:
                times[alarm] += 1
                unseen |= alarm
        before = now

    look()
    for command_id, (step, *details) in enumerate(script, start=1):
        match step, details:
            case "refill", [volume_ul]:
                pump.do(ProposeRefill(command_id, volume_ul))
            case "bolus", [volume_ul]:
                do_unless_empty(pump, ProposeBolus(command_id, volume_ul, 0.0))
                pump.world.sleep(3.7 * volume_ul)
            case "infuse", [rate_ul_per_h]:
                do_unless_empty(pump, ProposeContinuous(command_id, rate_ul_per_h, 0))
            case "stop", []:
                pump.stop()
            case "sleep", [hours]:
                for _ in range(int(4 * hours)):
                    pump.world.sleep(0.25 * HOUR_S)
                    look()
            case "acknowledge", [mask]:
                pump.ask(AcknowledgeAlarms(mask, 60))
                unseen &= ~mask
            case "reset", []:
                pump.pump.reboot()
                before, unseen, times = Alarm(0), Alarm(0), dict.fromkeys(Alarm, 0)
        look()
        entries = pump.alarms()
        assert Alarm(sum(entries)) == before | unseen
        for alarm, entry in entries.items():
            assert (entry.active, entry.acknowledged) == (bool(alarm & before), not alarm & unseen)
            assert entry.times == times[alarm]
