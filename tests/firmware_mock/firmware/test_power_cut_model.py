"""Any sequence of commands, waits, resets and losses of power, with what the rotor really did as the judge."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import protocol
from protocol import (
    Alarm,
    BulkObject,
    BulkReader,
    CommandState,
    Commit,
    FlexStep,
    Mode,
    Proposal,
    ProposeBolus,
    ProposeBridge,
    ProposeContinuous,
    ProposeFlex,
    ProposePrime,
    ProposeTherapyClock,
    ProposeTrial,
)

STEP_UL = 0.01
BLOCK = 100
FILLED_UL = 20_000.0
BOLUSES = (ProposeBolus, ProposePrime)
RATES = st.sampled_from([2.0, 10.0, 100.0, 777.0, 1000.0])
VOLUMES = st.sampled_from([0.01, 0.5, 1.0, 1.01, 5.0, 20.0])
MINUTES = (FlexStep(127, 0, 10.0), FlexStep(127, 1, 700.0), FlexStep(127, 2, 0.0), FlexStep(127, 3, 1000.0))
PROPOSALS = st.one_of(
    st.builds(lambda rate: lambda number: ProposeContinuous(number, rate, 0), RATES),
    st.builds(lambda volume, rate: lambda number: ProposeBolus(number, volume, rate), VOLUMES, RATES),
    st.builds(lambda volume, rate: lambda number: ProposePrime(number, volume, rate), VOLUMES, RATES),
    st.builds(lambda volume, rate: lambda number: ProposeBridge(number, volume, rate, 10.0, 0), VOLUMES, RATES),
    st.builds(lambda rate, duration: lambda number: ProposeTrial(number, rate, duration, 0), RATES, st.integers(2, 90)),
    st.just(lambda number: ProposeTherapyClock(number, number, 0)),
    st.just(lambda number: ProposeFlex(number, 0, MINUTES)),
)
IN_WRITE_NS = st.integers(0, 130_000_000)
OFF_S = st.sampled_from([0.01, 0.5, 3.0])
STEPS = st.one_of(
    st.tuples(st.just("do"), PROPOSALS),
    st.tuples(st.just("cut in commit"), PROPOSALS, IN_WRITE_NS, OFF_S),
    st.tuples(st.just("cut in stop"), IN_WRITE_NS, OFF_S),
    st.tuples(st.just("cut"), st.floats(0.0, 60.0), OFF_S),
    st.tuples(st.just("cut twice"), st.integers(0, 200_000_000), OFF_S),
    st.tuples(st.just("wait"), st.floats(0.0, 200.0)),
    st.tuples(st.just("reset")),
    st.tuples(st.just("stop")),
)


class Story:
    """One pump, its host, and what must hold after each thing that happens to them."""

    def __init__(self, pump, made):
        self.pump = pump
        self.made = made
        self.last_id = 0
        self.boluses = set()
        self.cuts = 0
        self.boots = []
        self.commits = []
        self.stopped_by = None

    def propose(self, build):
        """The next id, used up whether it is taken or not."""
        self.last_id += 1
        request = build(self.last_id)
        if isinstance(request, BOLUSES):
            self.boluses.add(self.last_id)
        proposal = self.pump.propose(request)
        if not isinstance(proposal, Proposal):
            return None
        self.commits.append(Commit(proposal.command_id, proposal.token, proposal.digest))
        return self.commits[-1]

    def happen(self, step):
        pump, now_ns = self.pump, self.pump.world.now_ns
        match step:
            case ("do", build):
                if (commit := self.propose(build)) is not None:
                    pump.ask(commit)
            case ("cut in commit", build, into_ns, off_s):
                if (commit := self.propose(build)) is not None:
                    self.cut_in(commit, into_ns, off_s)
            case ("cut in stop", into_ns, off_s):
                self.cut_in(protocol.Stop(), into_ns, off_s)
            case ("cut", after_s, off_s):
                pump.world.sleep(after_s)
                self.cut_power(off_s)
                pump.world.sleep(off_s + 1.0)
            case ("cut twice", into_ns, off_s):
                pump.pump.cut_power(1.0)
                pump.pump.cut_power_at(now_ns + 1_000_000_000 + into_ns, off_s)
                pump.world.sleep(off_s + 2.0)
                self.cuts += 2
            case ("wait", seconds):
                pump.world.sleep(seconds)
            case ("reset",):
                pump.pump.reboot()
            case ("stop",):
                pump.stop()
        pump.forget()
        self.check()

    def cut_in(self, request, into_ns, off_s):
        pump = self.pump
        pump.pump.cut_power_at(pump.world.now_ns + into_ns, off_s)
        self.cuts += 1
        pump.send(request)
        pump.world.sleep(off_s + 1.0)

    def cut_power(self, off_s):
        therapy = self.pump.pump._nvram.memory.therapy
        self.pump.pump.cut_power(off_s)
        self.cuts += 1
        self.pump.world.sleep(off_s)
        status = self.pump.status()
        assert status.mode not in (Mode.BOLUS, Mode.PRIMING)
        if therapy is not None and therapy.steps is None:
            assert status.active_command_id == therapy.command_id

    def check(self):
        pump = self.pump
        for commit in self.commits:
            before = self.made.steps()[commit.command_id] * STEP_UL
            result = pump.result(commit.command_id)
            after = self.made.steps()[commit.command_id] * STEP_UL
            if result.state in (CommandState.UNKNOWN, CommandState.FORGOTTEN):
                assert after == 0.0
            else:
                assert result.delivered_low_ul <= after + 1e-9
                assert result.delivered_high_ul >= before - 1e-9
        assert all(self.made.starts[command_id] <= 1 for command_id in self.boluses)
        turned_before = pump.head.counted_steps(pump.world.now_ns)
        status = pump.status()
        turned = pump.head.counted_steps(pump.world.now_ns)
        assert turned_before <= status.steps <= turned + self.cuts * BLOCK
        assert abs(status.reservoir_ul - (FILLED_UL - status.steps * STEP_UL)) < 1e-6
        assert status.alarms in (0, Alarm.PROGRAMMING_INTERRUPTED)
        if status.alarms:
            assert status.mode in (Mode.STOPPED, Mode.BOLUS, Mode.PRIMING)
        assert pump.ask(protocol.SelfTestRequest(protocol.SelfTestItem.MEMORY)).failed == 0
        self.boots.append(status.boot_id)
        assert self.boots == sorted(self.boots)

    def end(self):
        """No old COMMIT starts anything, and the history tells each dose once and as the results do."""
        pump = self.pump
        pump.stop()
        turned = pump.head.counted_steps(pump.world.now_ns)
        for commit in self.commits:
            pump.ask(commit)
        pump.world.sleep(100.0)
        assert pump.head.counted_steps(pump.world.now_ns) == turned
        doses = pump.pull(BulkReader(BulkObject.DOSE_HISTORY))
        assert len({dose.command_id for dose in doses}) == len(doses)
        for dose in doses:
            result = pump.result(dose.command_id)
            assert (dose.state, dose.delivered_low_ul, dose.delivered_high_ul) == (
                result.state,
                result.delivered_low_ul,
                result.delivered_high_ul,
            )
        for command_id, steps in self.made.steps().items():
            assert not steps or command_id in {dose.command_id for dose in doses}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=12))
def test_whatever_happens_no_dose_comes_twice_and_every_result_holds_the_truth(host, truth, steps):
    pump = host(filled_ul=FILLED_UL)
    story = Story(pump, truth(pump))
    for step in steps:
        story.happen(step)
    story.end()
