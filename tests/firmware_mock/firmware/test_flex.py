"""Flex therapy against a table that is filled minute by minute, and what the pump refuses to take for one."""

import math
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import protocol
from protocol import (
    Alarm,
    CommandState,
    Day,
    FlexStep,
    Mode,
    NakReason,
    ProposeBolus,
    ProposeContinuous,
    ProposeFlex,
    ProposeTherapyClock,
    TherapyClockRequest,
    TherapyRequest,
)

DAILY = Day(127)
WEEKDAYS = Day(31)
WEEK_MIN = 7 * 1440
FRIDAY_S = 1_795_132_800
HOUR_S = 3600
STEPS_PER_UL = 100

RATES = st.sampled_from([0.0, 2.0, 2.5, 7.7, 50.0, 333.0, 1000.0])
PATTERNS = st.sampled_from([DAILY, WEEKDAYS, Day.SATURDAY | Day.SUNDAY, Day.MONDAY, Day(0b1010101), Day.SUNDAY])


@st.composite
def programmes(draw):
    """Steps of which no two begin at one minute of one day, and some of which give something."""
    steps, taken = [], {}
    for minute in draw(st.lists(st.integers(0, 1439), min_size=1, max_size=12)):
        days = draw(PATTERNS)
        if not taken.get(minute, 0) & days:
            taken[minute] = taken.get(minute, 0) | days
            steps.append(FlexStep(days, minute, draw(RATES)))
    if not any(step.rate_ul_per_h for step in steps):
        steps[0] = FlexStep(steps[0].days, steps[0].start_min, 20.0)
    return tuple(steps)


def table(steps):
    """The rate of each minute of the week from Monday 0:00 on: each goes on until another step begins."""
    rates = [None] * WEEK_MIN
    for step in steps:
        for place, day in enumerate(Day):
            if step.days & day:
                rates[place * 1440 + step.start_min] = step.rate_ul_per_h
    [*_, in_force] = [rate for rate in rates if rate is not None]
    for minute, rate in enumerate(rates):
        in_force = rates[minute] = in_force if rate is None else rate
    return rates


def minute_of_week(local_s):
    """1970 began on a Thursday."""
    return (local_s // 60 + 3 * 1440) % WEEK_MIN


def ticks(rate_ul_per_h):
    """A step of 10 nL every so many µs."""
    return round(Fraction(36_000_000) / Fraction(rate_ul_per_h))


def clock_is(pump, local_s, offset_s=0):
    pump.do(ProposeTherapyClock(pump.status().last_command_id + 1, local_s - offset_s, offset_s))


def start(pump, steps):
    canonical, result = pump.do(ProposeFlex(pump.status().last_command_id + 1, 0, steps))
    assert result.state == CommandState.RUNNING
    return canonical


def steps_made(pump):
    return pump.head.counted_steps(pump.world.now_ns)


def exact_steps(rates, from_us, until_us):
    """From one local time of the pump's own crystal to another, in µs."""
    total = Fraction(0)
    while from_us < until_us:
        end_us = min(until_us, (from_us // 60_000_000 + 1) * 60_000_000)
        if rate := rates[minute_of_week(from_us // 1_000_000)]:
            total += Fraction(end_us - from_us, ticks(rate))
        from_us = end_us
    return total


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programmes(), st.floats(-200.0, 200.0), st.integers(0, WEEK_MIN * 60), st.integers(1, 17))
def test_the_volume_of_weeks_is_that_of_the_table_to_one_step(host, steps, drift_ppm, into_s, days):
    pump = host(filled_ul=1e6, clock_error_ppm=drift_ppm)
    clock_is(pump, FRIDAY_S + into_s)
    start(pump, steps)
    clock, began = pump.pump._clock, pump.pump._nvram.memory
    rates = table(steps)
    local_us = (began.clock_utc_s + began.clock_offset_s) * 1_000_000 + clock.running_us() - began.clock_set_at_us
    running_us, before = clock.running_us(), steps_made(pump)
    exact = Fraction(0)
    for _ in range(days):
        pump.world.sleep(86_400.0)
        now_us = local_us + clock.running_us() - running_us
        exact += exact_steps(rates, local_us, now_us)
        local_us, running_us = now_us, clock.running_us()
        assert abs(steps_made(pump) - before - exact) <= 1


WEEKS = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, 200_000)),
    st.tuples(st.just("clock"), st.integers(0, WEEK_MIN * 60), st.integers(-12 * HOUR_S, 14 * HOUR_S)),
    st.tuples(st.just("daylight saving"), st.sampled_from([-HOUR_S, HOUR_S])),
    st.tuples(st.just("bolus"), st.integers(0, 3000)),
    st.tuples(st.just("reset")),
    st.tuples(st.just("power cut"), st.integers(1, 100_000)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programmes(), st.lists(WEEKS, max_size=8))
def test_whatever_happens_the_rate_is_that_of_the_table_at_local_time(host, steps, happenings):
    pump = host(filled_ul=1e6)
    clock_is(pump, FRIDAY_S)
    start(pump, steps)
    rates = table(steps)
    for happening in happenings:
        happen(pump, happening)
        pump.forget()
        possible = {rates[minute_of_week(local_s(pump))]}
        status = pump.status()
        possible.add(rates[minute_of_week(local_s(pump))])
        assert status.mode == Mode.FLEX
        assert any(math.isclose(status.rate_ul_per_h, rate, rel_tol=1e-4) for rate in possible)
        assert bool(pump.head.steps_per_s(pump.world.now_ns)) == bool(status.rate_ul_per_h)
    assert protocol.decode_payload(ProposeFlex.TYPE, pump.ask(TherapyRequest()).canonical).command_id == 2


def happen(pump, happening):
    match happening:
        case ("wait", seconds):
            pump.world.sleep(seconds)
        case ("clock", into_s, offset_s):
            clock_is(pump, FRIDAY_S + into_s, offset_s)
        case ("daylight saving", shift_s):
            clock = pump.ask(TherapyClockRequest())
            offset_s = max(-12 * HOUR_S, min(14 * HOUR_S, clock.utc_offset_s + shift_s))
            pump.do(ProposeTherapyClock(pump.status().last_command_id + 1, clock.utc_s, offset_s))
        case ("bolus", seconds):
            pump.do(ProposeBolus(pump.status().last_command_id + 1, 1000.0 * (seconds + 1) / 3600.0, 1000.0))
            pump.world.sleep(seconds + 2.0)
        case ("reset",):
            pump.pump.reboot()
        case ("power cut", off_s):
            pump.pump.cut_power(off_s)
            pump.world.sleep(off_s)


def local_s(pump):
    clock = pump.ask(TherapyClockRequest())
    return clock.utc_s + clock.utc_offset_s


NIGHT = (FlexStep(DAILY, 0, 10.0), FlexStep(DAILY, 120, 500.0), FlexStep(DAILY, 180, 10.0))


@pytest.mark.parametrize(("shift_s", "high_h"), [(HOUR_S, 0.5), (-HOUR_S, 1.5), (0, 1.0)])
def test_a_daylight_saving_shift_changes_which_step_is_in_force_and_makes_up_for_nothing(host, shift_s, high_h):
    """At 2:30 the clock is set to 3:30 or 1:30: the step from 2:00 to 3:00 then lasts 0.5 or 1.5 h."""
    pump = host()
    clock_is(pump, FRIDAY_S)
    start(pump, NIGHT)
    before = steps_made(pump)
    pump.world.sleep(2.5 * HOUR_S)
    clock = pump.ask(TherapyClockRequest())
    pump.do(ProposeTherapyClock(3, clock.utc_s, shift_s))
    pump.world.sleep(21.5 * HOUR_S)
    given_ul = (steps_made(pump) - before) / STEPS_PER_UL
    assert given_ul == pytest.approx(high_h * 500.0 + (24.0 - high_h) * 10.0, abs=0.5)
    assert pump.ask(TherapyClockRequest()).utc_offset_s == shift_s


def test_the_last_step_before_goes_on_over_midnight_and_days_without_one(host):
    pump = host()
    clock_is(pump, FRIDAY_S + 12 * HOUR_S)
    start(pump, (FlexStep(Day.FRIDAY, 1380, 100.0), FlexStep(Day.MONDAY, 60, 20.0)))
    assert pump.status().rate_ul_per_h == 20.0
    pump.world.sleep(11 * HOUR_S)
    for _ in range(25):
        assert pump.status().rate_ul_per_h == 100.0
        pump.world.sleep(2 * HOUR_S)
    assert pump.status().rate_ul_per_h == 20.0


def test_a_pause_is_a_therapy_in_force_and_no_standstill_to_warn_of(host):
    pump = host()
    clock_is(pump, FRIDAY_S)
    start(pump, (FlexStep(Day.FRIDAY, 1, 0.0), FlexStep(Day.MONDAY, 0, 100.0)))
    pump.world.sleep(60.0)
    before = steps_made(pump)
    pump.world.sleep(60 * HOUR_S)
    status = pump.status()
    assert (status.mode, status.rate_ul_per_h, status.active_command_id) == (Mode.FLEX, 0.0, 2)
    assert not status.alarms & Alarm.STOPPED_TOO_LONG
    assert steps_made(pump) == before
    pump.pump.cut_power(5.0)
    pump.world.sleep(10.0)
    pump.forget()
    result = pump.result(2)
    assert (result.state, result.delivered_low_ul) == (CommandState.RUNNING, result.delivered_high_ul)
    pump.world.sleep(12 * HOUR_S)
    assert pump.status().rate_ul_per_h == 100.0


def test_a_bolus_hands_back_to_the_step_that_is_in_force_then(host):
    pump = host()
    clock_is(pump, FRIDAY_S + 2 * HOUR_S - 600)
    start(pump, NIGHT)
    assert pump.status().rate_ul_per_h == 10.0
    pump.do(ProposeBolus(3, 300.0, 1000.0))
    pump.world.sleep(1200.0)
    assert (pump.status().mode, pump.result(3).state) == (Mode.FLEX, CommandState.DONE)
    assert pump.status().rate_ul_per_h == pytest.approx(500.0)
    assert pump.result(2).delivered_high_ul < 50.0


def test_a_therapy_that_is_committed_as_its_next_step_begins_starts_with_that_one(host):
    pump = host()
    clock_is(pump, FRIDAY_S + 2 * HOUR_S - 10)
    proposal = pump.propose(ProposeFlex(2, 0, NIGHT))
    pump.world.sleep(15.0)
    assert pump.commit(proposal).state == CommandState.RUNNING
    assert pump.status().rate_ul_per_h == pytest.approx(500.0)


def test_it_ends_as_other_therapies_do(host):
    pump = host()
    clock_is(pump, FRIDAY_S)
    canonical = start(pump, NIGHT)
    therapy = pump.ask(TherapyRequest())
    assert (therapy.command_id, therapy.propose_type) == (2, ProposeFlex.TYPE)
    assert protocol.decode_payload(ProposeFlex.TYPE, therapy.canonical) == canonical
    pump.world.sleep(3 * HOUR_S)
    pump.do(ProposeContinuous(3, 100.0, 0))
    result = pump.result(2)
    assert (result.state, result.delivered_high_ul) == (CommandState.STOPPED, pytest.approx(520.0, abs=0.1))
    for hours in (1, 22, 3):
        pump.world.sleep(hours * HOUR_S)
        assert pump.status().rate_ul_per_h == 100.0
    pump.stop()
    before = steps_made(pump)
    pump.world.sleep(48 * HOUR_S)
    assert steps_made(pump) == before


def test_the_end_of_the_lease_ends_it_where_it_was_to(host):
    pump = host()
    clock_is(pump, FRIDAY_S)
    pump.ask(protocol.LeaseRequest(0, 60_000, "test"))
    pump.do(ProposeFlex(2, 1, NIGHT))
    pump.world.sleep(61.0)
    assert pump.status().mode == Mode.STOPPED
    before = steps_made(pump)
    pump.world.sleep(30 * HOUR_S)
    assert steps_made(pump) == before


def test_it_goes_on_through_the_watchdog_with_the_step_in_force(host):
    pump = host()
    clock_is(pump, FRIDAY_S + 2 * HOUR_S - 60)
    start(pump, NIGHT)
    pump.world.sleep(59.5 - pump.world.monotonic())
    pump.pump.hang()
    pump.world.sleep(2.0)
    pump.forget()
    status = pump.status()
    assert (status.mode, status.boot_id, status.rate_ul_per_h) == (Mode.FLEX, 2, pytest.approx(500.0))


def test_a_rotor_that_stands_through_a_whole_short_step_is_a_stall(host):
    pump = host()
    clock_is(pump, FRIDAY_S)
    start(pump, tuple(FlexStep(DAILY, 10 * place, 10.0 + place) for place in range(43)))
    pump.head.stall(held=True)
    pump.world.sleep(30 * 60.0)
    assert pump.status().alarms & Alarm.MOTOR_STALL
    pump.head.free()
    pump.world.sleep(40 * 60.0)
    assert not pump.status().alarms & Alarm.MOTOR_STALL


@pytest.mark.parametrize(
    ("steps", "detail"),
    [
        ((), "0 steps; there must be 1 to 43"),
        (tuple(FlexStep(DAILY, minute, 10.0) for minute in range(44)), "44 steps; there must be 1 to 43"),
        ((FlexStep(0, 0, 10.0),), "step 1: days 0 must be 1 to 127"),
        ((FlexStep(128, 0, 10.0),), "step 1: days 128 must be 1 to 127"),
        ((FlexStep(DAILY, 1440, 10.0),), "step 1: start_min above the limit 1439"),
        ((*NIGHT, FlexStep(Day.SUNDAY, 180, 20.0)), "step 4: minute 180 of a day is taken"),
        ((FlexStep(DAILY, 0, 0.0),), "all steps pause; to give nothing, stop the pump"),
        ((*NIGHT, FlexStep(DAILY, 181, 1.9)), "step 4: rate_ul_per_h below the limit 2 uL/h"),
        ((*NIGHT, FlexStep(DAILY, 181, 1001.0)), "step 4: rate_ul_per_h above the limit 1000 uL/h"),
        ((*NIGHT, FlexStep(DAILY, 181, -10.0)), "step 4: rate_ul_per_h below the limit 2 uL/h"),
        ((*NIGHT, FlexStep(DAILY, 181, math.nan)), "step 4: rate_ul_per_h is no finite number"),
    ],
)
def test_what_is_no_programme_is_refused_and_changes_nothing(host, steps, detail):
    pump = host()
    clock_is(pump, FRIDAY_S)
    memory = pump.pump._nvram.memory
    nak = pump.ask(ProposeFlex(2, 0, steps))
    assert (nak.reason, nak.detail) == (NakReason.OUT_OF_RANGE, detail)
    assert pump.pump._nvram.memory is memory


def test_without_a_therapy_clock_there_is_no_flex(host):
    nak = host().ask(ProposeFlex(1, 0, NIGHT))
    assert (nak.reason, nak.detail) == (NakReason.WRONG_STATE, "the therapy clock was never set")


def test_the_canonical_form_keeps_the_order_and_holds_the_rates_of_the_timer(host):
    pump = host()
    clock_is(pump, FRIDAY_S)
    asked = (FlexStep(Day.SUNDAY, 700, 333.3), FlexStep(DAILY, 0, 0.0), FlexStep(WEEKDAYS, 700, 7.7))
    canonical = start(pump, asked)
    assert [(step.days, step.start_min) for step in canonical.steps] == [(step.days, step.start_min) for step in asked]
    for step, wanted in zip(canonical.steps, asked, strict=True):
        exact = 36_000_000 / ticks(wanted.rate_ul_per_h) if wanted.rate_ul_per_h else 0.0
        assert step.rate_ul_per_h == pytest.approx(exact, rel=1e-12)


def test_the_longest_programme_is_taken_and_told(host):
    pump = host()
    clock_is(pump, FRIDAY_S)
    canonical = start(pump, tuple(FlexStep(DAILY, 30 * place, 10.0 + place) for place in range(43)))
    assert protocol.decode_payload(ProposeFlex.TYPE, pump.ask(TherapyRequest()).canonical) == canonical
    pump.world.sleep(12 * HOUR_S)
    assert pump.status().rate_ul_per_h == pytest.approx(34.0)
