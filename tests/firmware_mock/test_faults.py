"""What faults do to bytes, to the host's handles and clock, and to the pump, and that each tells when it acted."""

import random
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock import World
from firmware_mock.faults import DEVICE_KINDS, LINK_KINDS, Direction, Fault, FaultKind, LonePump, draw_fault
from firmware_mock.faults.frame_acts import frames_of, type_of
from firmware_mock.ports import PortUnplugged
from firmware_mock.world import to_ns
from protocol import (
    CommandResult,
    CommandResultRequest,
    CommandState,
    Commit,
    HelloRequest,
    HostSession,
    NakReason,
    Proposal,
    ProposeBolus,
    Refused,
    Reply,
    Status,
    StatusRequest,
    Stop,
    TimedOut,
    encode,
)
from protocol.profile import load_model

STEPS = 100
PLAIN = Fault(FaultKind.FLIP, Direction.TO_DEVICE, StatusRequest.TYPE, 1, 0.0, 0.0, 1, 7)


class Talk:
    """A lone pump and a bare session with it, over a port that faults are done to."""

    def __init__(self, **pump):
        self.world = World(seed=1)
        self.pump = LonePump(self.world, load_model("implantable-20ml"), **pump)
        self.port = self.pump.port
        self.open()

    def open(self):
        self.handle = self.port.connect()
        self.session = HostSession()
        return self.ask(HelloRequest(1, 0, self.port.opening))

    def ask(self, message):
        """The message that answers, or the outcome as it is."""
        self.session.request(message, self.world.monotonic())
        while True:
            if data := self.session.data_to_send():
                self.handle.write(data)
            now = self.world.monotonic()
            data = self.handle.read(max(0.0, self.session.next_deadline() - now))
            now = self.world.monotonic()
            for event in [*self.session.receive(data, now), *self.session.poll(now)]:
                if isinstance(event, Reply):
                    return event.message
                if isinstance(event, Refused | TimedOut):
                    return event

    def dose(self, id_, steps=STEPS):
        proposal = self.ask(ProposeBolus(id_, steps * 0.01, 0.0))
        assert isinstance(proposal, Proposal)
        return self.ask(Commit(id_, proposal.token, proposal.digest))

    def arm(self, **changes):
        self.port.arm([replace(PLAIN, **changes)])

    @property
    def has_acted(self):
        return self.port.has_acted()[0]

    def starts(self):
        return [turning.made for turning in self.pump.turnings() if turning.planned is not None]


@pytest.fixture
def talk():
    return Talk()


frame = st.builds(
    lambda message, seq: encode(message, seq=seq),
    st.one_of(
        st.just(StatusRequest()),
        st.builds(HelloRequest, st.just(1), st.just(0), st.integers(0, 2**64 - 1)),
        st.builds(CommandResultRequest, st.integers(0, 2**64 - 1)),
    ),
    st.integers(1, 65535),
)


@given(st.lists(frame, min_size=1, max_size=5))
def test_what_is_sent_at_once_falls_into_its_frames(frames):
    assert frames_of(b"".join(frames)) == frames


@given(frame)
def test_a_frames_type_is_read_from_its_bytes(data):
    assert type_of(data) in (StatusRequest.TYPE, HelloRequest.TYPE, CommandResultRequest.TYPE)
    assert encode(StatusRequest(), seq=1)[3] == StatusRequest.TYPE


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_is_the_same_data_from_the_same_seed(kind):
    drawn = [draw_fault(kind, random.Random(5), longest_delay_s=3.0, opens=True) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert msgspec.json.decode(msgspec.json.encode(drawn[0]), type=Fault) == drawn[0]


@pytest.mark.parametrize("kind", [*LINK_KINDS, FaultKind.POWER_CUT, FaultKind.BROWN_OUT])
def test_no_fault_acts_or_leaves_evidence_before_it_is_set_off(kind):
    talk = Talk()
    talk.arm(kind=kind, message_type=Stop.TYPE, duration_s=1.0)
    assert isinstance(talk.ask(StatusRequest()), Status)
    assert not talk.has_acted
    talk.world.close()
    assert not [name for name in talk.world.ledger.open().evidence if name.startswith("fault.")]


@pytest.mark.parametrize("kind", [kind for kind in LINK_KINDS if kind is not FaultKind.SLOW_READER])
def test_every_link_fault_leaves_evidence_when_it_acts(kind):
    talk = Talk()
    direction = Direction.TO_HOST if kind is FaultKind.DROP_REPLY else Direction.TO_DEVICE
    message_type = Status.TYPE if kind is FaultKind.DROP_REPLY else StatusRequest.TYPE
    amount = 5000 if kind is FaultKind.BIT_ROT else 1
    talk.arm(kind=kind, direction=direction, message_type=message_type, duration_s=1.0, amount=amount)
    try:
        if kind is FaultKind.RESET_ON_OPEN:
            talk.open()
        talk.ask(StatusRequest())
        talk.ask(StatusRequest())
    except OSError:
        assert kind in (FaultKind.RE_ENUMERATE, FaultKind.BLOCKED_WRITE)
    assert talk.has_acted
    talk.world.close()
    assert talk.world.ledger.open().evidence[f"fault.{kind}"] >= 1


@pytest.mark.parametrize(
    ("changes", "retries"),
    [
        ({"kind": FaultKind.FLIP, "amount": 2}, 1),
        ({"kind": FaultKind.DROP_REQUEST, "amount": 2}, 2),
        ({"kind": FaultKind.DROP_REPLY, "direction": Direction.TO_HOST, "message_type": Status.TYPE, "amount": 2}, 2),
        ({"kind": FaultKind.LATE, "duration_s": 0.7}, 1),
        ({"kind": FaultKind.TRUNCATE, "amount": 80}, 1),
        ({"kind": FaultKind.FRAGMENT, "duration_s": 0.3}, 0),
        ({"kind": FaultKind.NOISE, "amount": 30}, 0),
        ({"kind": FaultKind.ECHO, "duration_s": 0.3}, 0),
        ({"kind": FaultKind.STUCK_LINE, "duration_s": 0.7}, 2),
        ({"kind": FaultKind.WRONG_BAUD, "duration_s": 0.3}, 1),
        ({"kind": FaultKind.REBOOT, "duration_s": 0.3}, 1),
    ],
    ids=lambda value: value.get("kind") if isinstance(value, dict) else None,
)
def test_a_fault_costs_as_many_retries_as_it_takes_frames(talk, changes, retries):
    talk.arm(**changes)
    assert isinstance(talk.ask(StatusRequest()), Status)
    assert talk.has_acted
    assert talk.session.retries == retries


def test_a_duplicate_is_answered_from_the_cache_and_dropped_as_stale(talk):
    talk.arm(kind=FaultKind.DUPLICATE, duration_s=0.1)
    talk.ask(StatusRequest())
    talk.world.sleep(0.2)
    talk.ask(StatusRequest())
    assert talk.session.stale_replies == 1


def test_two_frames_change_places(talk):
    talk.arm(kind=FaultKind.REORDER, message_type=StatusRequest.TYPE)
    talk.handle.write(encode(StatusRequest(), seq=40001))
    talk.handle.write(encode(CommandResultRequest(9), seq=40002))
    talk.world.sleep(0.1)
    data = talk.handle.read(0.0)
    assert [type_of(reply) for reply in frames_of(data)] == [CommandResult.TYPE, Status.TYPE]
    assert talk.has_acted


def test_a_frame_held_back_for_its_successor_is_let_go_with_the_faults(talk):
    talk.arm(kind=FaultKind.REORDER)
    talk.handle.write(encode(StatusRequest(), seq=40001))
    talk.port.disarm()
    talk.world.sleep(0.1)
    assert type_of(talk.handle.read(0.0)) == Status.TYPE


def test_a_dead_connection_lives_again_when_it_is_opened_afresh(talk):
    talk.arm(kind=FaultKind.HALF_OPEN)
    assert isinstance(talk.ask(StatusRequest()), TimedOut)
    assert talk.port.cleared_ns > talk.world.now_ns
    talk.open()
    assert talk.port.cleared_ns <= talk.world.now_ns
    assert isinstance(talk.ask(StatusRequest()), Status)


def test_after_a_re_enumeration_only_a_new_handle_works(talk):
    talk.arm(kind=FaultKind.RE_ENUMERATE, duration_s=1.0)
    talk.handle.write(encode(StatusRequest(), seq=40001))
    talk.world.sleep(0.1)
    with pytest.raises(PortUnplugged):
        talk.ask(StatusRequest())
    with pytest.raises(PortUnplugged):
        talk.port.connect()
    old = talk.handle
    talk.world.sleep(1.0)
    with pytest.raises(PortUnplugged):
        old.write(b"\0")
    talk.open()
    assert isinstance(talk.ask(StatusRequest()), Status)


@pytest.mark.parametrize("amount", [0, 1])
def test_a_blocked_write_takes_its_time_and_fails_or_goes_through(talk, amount):
    talk.arm(kind=FaultKind.BLOCKED_WRITE, duration_s=3.0, amount=amount)
    began_ns = talk.world.now_ns
    if amount:
        with pytest.raises(TimeoutError):
            talk.ask(StatusRequest())
    else:
        talk.ask(StatusRequest())
    assert talk.world.now_ns - began_ns >= to_ns(3.0)


@pytest.mark.parametrize("counted", [0, 1])
def test_a_suspended_host_does_nothing_and_its_clock_counts_that_or_not(talk, counted):
    talk.arm(kind=FaultKind.HOST_SUSPEND, duration_s=100.0, amount=counted)
    before_s, before_ns = talk.port.clock.monotonic(), talk.world.now_ns
    talk.handle.write(encode(StatusRequest(), seq=40001))
    assert type_of(talk.handle.read(1.0)) == Status.TYPE
    passed_s = talk.port.clock.monotonic() - before_s
    assert talk.world.now_ns - before_ns >= to_ns(100.0)
    assert (passed_s >= 100.0) == bool(counted)
    assert passed_s >= 0.0


@given(st.lists(st.tuples(st.sampled_from(["jump", "sleep", "suspend", "lag"]), st.floats(0.0, 1e4)), max_size=20))
def test_the_hosts_clock_never_goes_back(steps):
    clock = Talk().port.clock
    last_s = clock.monotonic()
    for what, seconds in steps:
        if what == "jump":
            clock.jump(seconds)
        elif what == "sleep":
            clock.sleep(seconds)
        else:
            clock.suspend(seconds, counted=what == "suspend", on_sleep=lambda: None)
        assert clock.monotonic() >= last_s
        last_s = clock.monotonic()


def test_a_slow_reader_loses_what_does_not_fit_its_buffer(talk):
    talk.arm(kind=FaultKind.SLOW_READER, duration_s=10.0, amount=3)
    for seq in range(40001, 40006):
        talk.handle.write(encode(StatusRequest(), seq=seq))
    talk.world.sleep(1.0)
    taken = b""
    while data := talk.handle.read(0.0):
        assert len(data) <= 3
        taken += data
    assert len(taken) == 256
    assert talk.has_acted


def test_another_host_that_holds_the_lease_keeps_this_one_from_dosing_until_it_expires(talk):
    talk.arm(kind=FaultKind.SECOND_HOST, duration_s=5.0, amount=1)
    talk.ask(StatusRequest())
    talk.open()
    refused = talk.ask(ProposeBolus(1, 1.0, 0.0))
    assert isinstance(refused, Refused)
    assert refused.nak.reason == NakReason.LEASE_HELD
    assert talk.port.cleared_ns > talk.world.now_ns
    talk.world.run_until(talk.port.cleared_ns + to_ns(0.01))
    assert talk.dose(1).state == CommandState.RUNNING


def test_another_hosts_stop_stops(talk):
    talk.dose(1)
    talk.world.sleep(1.0)
    talk.arm(kind=FaultKind.SECOND_HOST, amount=2)
    talk.ask(StatusRequest())
    talk.world.sleep(60.0)
    assert talk.ask(CommandResultRequest(1)).state == CommandState.STOPPED
    assert 0 < talk.starts()[0] < STEPS


@pytest.mark.parametrize(
    ("seam", "state", "starts"),
    [
        (1, CommandState.INTERRUPTED, []),
        (2, CommandState.INTERRUPTED, [0]),
        (3, CommandState.INTERRUPTED, [0]),
    ],
)
def test_power_goes_inside_what_the_pump_does_and_a_bolus_never_resumes(talk, seam, state, starts):
    proposal = talk.ask(ProposeBolus(1, 1.0, 0.0))
    talk.arm(kind=FaultKind.POWER_CUT, message_type=Commit.TYPE, amount=seam, duration_s=0.4)
    talk.ask(Commit(1, proposal.token, proposal.digest))
    assert talk.has_acted
    talk.world.sleep(60.0)
    assert talk.ask(CommandResultRequest(1)).state == state
    assert talk.starts() == starts


@given(st.integers(0, 2**32 - 1))
def test_power_that_goes_in_a_write_leaves_a_dose_of_which_the_pump_claims_no_more_than_is_so(seed):
    talk = Talk()
    proposal = talk.ask(ProposeBolus(1, 1.0, 0.0))
    talk.arm(kind=FaultKind.POWER_CUT, message_type=Commit.TYPE, amount=5, duration_s=0.4, seed=seed)
    talk.ask(Commit(1, proposal.token, proposal.digest))
    talk.world.sleep(60.0)
    assert talk.has_acted
    result = talk.ask(CommandResultRequest(1))
    made_ul = 0.01 * sum(talk.starts())
    assert result.state in (CommandState.UNKNOWN, CommandState.INTERRUPTED)
    assert result.delivered_low_ul - 1e-9 <= made_ul <= result.delivered_high_ul + 1e-9


def test_a_pump_without_power_hears_and_says_nothing_until_it_is_back(talk):
    talk.arm(kind=FaultKind.POWER_CUT, duration_s=2.0, amount=0)
    assert isinstance(talk.ask(StatusRequest()), TimedOut)
    talk.world.sleep(1.0)
    assert isinstance(talk.ask(StatusRequest()), Status)


def test_spared_power_is_not_taken_later(talk):
    talk.arm(kind=FaultKind.POWER_CUT, duration_s=2.0, amount=1)
    talk.ask(StatusRequest())
    talk.port.disarm()
    talk.dose(1)
    talk.world.sleep(60.0)
    assert not talk.has_acted
    assert talk.starts() == [STEPS]


def test_a_brown_out_is_several_resets(talk):
    boot_id = talk.ask(StatusRequest()).boot_id
    talk.arm(kind=FaultKind.BROWN_OUT, duration_s=1.0, amount=4)
    talk.ask(StatusRequest())
    talk.world.sleep(2.0)
    assert talk.ask(StatusRequest()).boot_id == boot_id + 4


def test_a_pump_made_to_forget_says_so_of_a_dose_it_gave(talk):
    talk.dose(1)
    talk.world.sleep(1.0)
    talk.arm(kind=FaultKind.EVIDENCE_LOST)
    talk.ask(StatusRequest())
    talk.world.sleep(1.0)
    assert talk.has_acted
    assert talk.ask(CommandResultRequest(1)).state == CommandState.FORGOTTEN
    assert 0 < talk.starts()[0] < STEPS


def test_a_stuck_motor_makes_fewer_steps_and_acts_only_while_it_turns(talk):
    talk.arm(kind=FaultKind.STUCK_MOTOR)
    talk.ask(StatusRequest())
    assert not talk.has_acted
    talk.dose(1)
    talk.arm(kind=FaultKind.STUCK_MOTOR, delay_s=1.0)
    talk.ask(StatusRequest())
    talk.world.sleep(60.0)
    assert talk.has_acted
    assert 0 < talk.starts()[0] < STEPS


def test_a_drifting_crystal_makes_its_steps_early_or_late():
    lasted_ns = []
    for ppm in (0.0, 500.0):
        talk = Talk(clock_error_ppm=ppm)
        talk.dose(1)
        began_ns = talk.world.now_ns
        while talk.pump.steps < STEPS:
            talk.world.sleep(1e-5)
        lasted_ns.append(talk.world.now_ns - began_ns)
    assert lasted_ns[1] == pytest.approx(lasted_ns[0] * (1 - 500e-6), abs=3e4)


def test_the_motor_tells_what_it_was_told_and_what_it_made(talk):
    talk.dose(1, 40)
    talk.world.sleep(60.0)
    talk.dose(2, 70)
    talk.world.sleep(1.0)
    talk.ask(Stop())
    first, second = talk.starts()
    assert first == 40
    assert 20 < second < 40
    assert talk.pump.steps == first + second


def test_device_and_link_kinds_are_all_kinds():
    assert set(LINK_KINDS) | set(DEVICE_KINDS) == set(FaultKind)
    assert len(LINK_KINDS) >= 20
