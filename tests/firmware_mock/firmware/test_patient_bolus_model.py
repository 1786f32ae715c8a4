"""Presses of the button among rates, boluses, magnets, resets and power cuts, judged by the rotor's own account.

The account is exact: the rotor turned evenly between two orders to it, and what any window holds is greatest where it
begins or ends at one of them. The firmware's limit is on what it knew when it gave a bolus, so windows count that end
before a host next changes what is delivered.
"""

from fractions import Fraction
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import (
    CommandState,
    FlexStep,
    Mode,
    ProposeBolus,
    ProposeContinuous,
    ProposeFlex,
    ProposePatientBolusLimits,
    ProposeTherapyClock,
    ProposeTrial,
)

DAY_NS = 86_400 * 10**9
STEP_UL = Fraction(1, 100)
NIGHT_AND_DAY = (FlexStep(127, 0, 5.0), FlexStep(127, 360, 30.0), FlexStep(127, 420, 0.0), FlexStep(127, 720, 12.0))

LIMITS = st.builds(
    lambda volume_ul, lockout_s, most, window_s, spare: ProposePatientBolusLimits(
        1, 1, volume_ul, 1000.0, lockout_s, most, window_s, volume_ul + spare
    ),
    st.sampled_from([1.0, 5.0, 20.0]),
    st.sampled_from([300, 1800, 7200, 100_000]),
    st.integers(1, 6),
    st.sampled_from([600, 3600, 14_400, 86_400]),
    st.floats(0.05, 200.0),
)
THERAPIES = st.one_of(
    st.builds(lambda rate: lambda id_: ProposeContinuous(id_, rate, 0), st.sampled_from([2.0, 10.0, 40.0])),
    st.builds(lambda duration_s: lambda id_: ProposeTrial(id_, 20.0, duration_s, 0), st.integers(100, 30_000)),
    st.just(lambda id_: ProposeFlex(id_, 0, NIGHT_AND_DAY)),
)
HAPPENINGS = st.one_of(
    st.just(("press",)),
    st.just(("press",)),
    st.tuples(st.just("wait"), st.integers(0, 30_000)),
    st.tuples(st.just("wait"), st.integers(0, 2000)),
    st.tuples(st.just("presses"), st.integers(1, 40), st.sampled_from([299, 900, 3600])),
    st.tuples(st.just("therapy"), THERAPIES),
    st.tuples(st.just("bolus"), st.floats(0.1, 30.0)),
    st.just(("reset",)),
    st.tuples(st.just("power cut"), st.integers(1, 5000)),
    st.tuples(st.just("cut in press"), st.integers(0, 150_000_000)),
    st.tuples(st.just("magnet"), st.integers(0, 20), st.integers(1, 20_000)),
)


class Account:
    """What the rotor made, in steps with their fractions, at each order to it."""

    def __init__(self, pump):
        self.pump = pump
        self.bends = [(0, Fraction(0))]
        pump.head.on_change = self.note

    def note(self):
        head, now_ns = self.pump.head, self.pump.world.now_ns
        self.bends.append((now_ns, Fraction(head._position(now_ns), 2**40)))

    def made(self, at_ns):
        for (from_ns, before), (until_ns, after) in pairwise(self.bends):
            if from_ns <= at_ns <= until_ns and until_ns > from_ns:
                return before + (after - before) * Fraction(at_ns - from_ns, until_ns - from_ns)
        return self.bends[-1][1] if at_ns > 0 else Fraction(0)

    def most_ul(self, window_ns, from_ns, latest_begin_ns, until_ns):
        """Of all windows that end between two instants and begin no later than a third."""
        bends_ns = [at_ns for at_ns, _ in self.bends]
        ends = {from_ns, until_ns, *bends_ns, *(at_ns + window_ns for at_ns in bends_ns), latest_begin_ns + window_ns}
        return STEP_UL * max(
            self.made(end_ns) - self.made(max(0, end_ns - window_ns))
            for end_ns in ends
            if from_ns <= end_ns <= min(until_ns, latest_begin_ns + window_ns)
        )


class Story:
    def __init__(self, pump, limits):
        self.pump = pump
        self.limits = limits
        self.account = Account(pump)
        self.given = []
        self.interventions_ns = []
        pump.do(ProposeTherapyClock(1, 0, 0))
        self.order(lambda id_: ProposeContinuous(id_, 10.0, 0))
        self.order(lambda id_: ProposePatientBolusLimits(id_, *list(values(limits))[1:]))

    def order(self, build):
        request = build(self.pump.status().last_command_id + 1)
        if type(request) is not ProposePatientBolusLimits:
            self.interventions_ns.append(self.pump.world.now_ns)
        proposal = self.pump.propose(request)
        if hasattr(proposal, "token"):
            self.pump.commit(proposal)

    def press(self):
        highest = self.pump.pump._nvram.memory.last_command_id
        self.pump.pump.press_button()
        if self.pump.head.steps_per_s(self.pump.world.now_ns) and (
            self.pump.pump._nvram.memory.last_command_id > highest
        ):
            self.given.append(self.pump.world.now_ns)

    def happen(self, happening):
        pump = self.pump
        match happening:
            case ("press",):
                self.press()
            case ("presses", times, apart_s):
                for _ in range(times):
                    self.press()
                    pump.world.sleep(apart_s)
            case ("wait", seconds):
                pump.world.sleep(seconds)
            case ("therapy", build):
                self.order(build)
            case ("bolus", volume_ul):
                self.order(lambda id_: ProposeBolus(id_, volume_ul, 0.0))
            case ("reset",):
                pump.pump.reboot()
            case ("power cut", off_s):
                pump.pump.cut_power(off_s)
                pump.world.sleep(off_s)
            case ("magnet", after_s, for_s):
                pump.world.sleep(after_s)
                pump.pump.upkeep.close_switch()
                pump.world.sleep(for_s)
                pump.pump.upkeep.open_switch()
            case ("cut in press", into_ns):
                pump.pump.cut_power_at(pump.world.now_ns + into_ns, 1.0)
                self.press()
                pump.world.sleep(2.0)
        pump.forget()

    def check(self):
        self.account.note()
        limits, now_ns = self.limits, self.pump.world.now_ns
        given = self.given
        assert all(later - earlier >= limits.lockout_s * 10**9 for earlier, later in pairwise(given))
        most = limits.most_per_day
        assert all(later - earlier >= DAY_NS for earlier, later in zip(given, given[most:], strict=False))
        for given_ns in given:
            until_ns = min((at_ns for at_ns in self.interventions_ns if at_ns > given_ns), default=now_ns)
            over_ns = given_ns + round(limits.volume_ul * 3600e6)
            most_ul = self.account.most_ul(limits.window_s * 10**9, given_ns, over_ns, until_ns)
            assert most_ul <= Fraction(limits.window_limit_ul)


def values(request):
    return [getattr(request, field) for field in request.__struct_fields__]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LIMITS, st.lists(HAPPENINGS, max_size=20))
def test_no_window_is_above_the_limit_and_no_lockout_broken(host, limits, happenings):
    pump = host()
    story = Story(pump, limits)
    for happening in happenings:
        story.happen(happening)
    pump.world.sleep(100_000.0)
    story.check()
    assert pump.status().mode in (Mode.CONTINUOUS, Mode.FLEX, Mode.STOPPED)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([2.0, 10.0, 40.0]), st.sampled_from([600, 3600, 14_400]), st.floats(5.1, 300.0))
def test_a_bolus_that_fits_by_more_than_a_few_steps_is_given(host, rate_ul_per_h, window_s, limit_ul):
    """After a long run at one rate a window holds the bolus, and basal for the time that it leaves."""
    pump = host()
    pump.do(ProposePatientBolusLimits(1, 1, 5.0, 1000.0, 300, 6, window_s, limit_ul))
    pump.do(ProposeContinuous(2, rate_ul_per_h, 0))
    pump.world.sleep(90_000.0)
    fullest_ul = 5.0 + rate_ul_per_h * max(0, window_s - 18) / 3600.0
    pump.pump.press_button()
    was_given = pump.result(3).state != CommandState.UNKNOWN
    assert was_given == (fullest_ul <= limit_ul) or abs(fullest_ul - limit_ul) < 0.04
