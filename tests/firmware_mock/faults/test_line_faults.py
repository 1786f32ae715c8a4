"""What faults do to bytes, to the host's handles and clock, and to the pump, and that each tells when it acted."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.faults import DEVICE_KINDS, LINK_KINDS, Direction, Fault, FaultKind, draw_fault
from firmware_mock.faults.frame_acts import frames_of, type_of
from firmware_mock.ports import PortUnplugged
from firmware_mock.world import to_ns
from protocol import (
    CommandResult,
    CommandResultRequest,
    CommandState,
    HelloRequest,
    NakReason,
    ProposeBolus,
    Refused,
    Status,
    StatusRequest,
    Stop,
    TimedOut,
    encode,
)

STEPS = 100


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


@pytest.mark.parametrize("kind", [*LINK_KINDS, *DEVICE_KINDS])
def test_no_fault_acts_or_leaves_evidence_before_it_is_set_off(new_talk, kind):
    talk = new_talk()
    talk.arm(kind=kind, message_type=Stop.TYPE, duration_s=1.0)
    assert isinstance(talk.ask(StatusRequest()), Status)
    assert not talk.has_acted
    talk.world.close()
    assert not [name for name in talk.world.ledger.open().evidence if name.startswith("fault.")]


@pytest.mark.parametrize("kind", [kind for kind in LINK_KINDS if kind is not FaultKind.SLOW_READER])
def test_every_link_fault_leaves_evidence_when_it_acts(new_talk, kind):
    talk = new_talk()
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
def test_the_hosts_clock_never_goes_back(new_talk, steps):
    clock = new_talk().port.clock
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


def test_device_and_link_kinds_are_all_kinds():
    assert set(LINK_KINDS) | set(DEVICE_KINDS) == set(FaultKind)
    assert len(LINK_KINDS) >= 20


@pytest.mark.parametrize("kind", [FaultKind.REBOOT, FaultKind.WATCHDOG, FaultKind.POWER_CUT, FaultKind.RE_ENUMERATE])
def test_a_fault_that_is_set_off_as_the_faults_end_does_not_happen_any_more(new_talk, kind):
    talk = new_talk()
    talk.arm(kind=kind, amount=2, duration_s=1.0)
    talk.handle.write(encode(StatusRequest(), seq=9))
    talk.port.disarm()
    talk.world.sleep(1.0)
    assert talk.dose(1).state == CommandState.RUNNING
    talk.world.sleep(10.0)
    assert talk.ask(CommandResultRequest(1)).state == CommandState.DONE
    assert not talk.has_acted
