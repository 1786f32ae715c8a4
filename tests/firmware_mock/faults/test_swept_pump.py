"""A pump that is struck at a chosen place does all that comes before it, and nothing that comes after."""

from functools import partial

import pytest

from firmware_mock.faults.swept_pump import Blow, Place, SweptPump, SweptWorld
from protocol import CommandResultRequest, CommandState, StatusRequest, Stop

STEPS = 50


@pytest.fixture
def swept(new_talk):
    return partial(new_talk, SweptWorld, SweptPump)


def places_of_a_bolus(talk, blow=None):
    talk.pump.watch(blow)
    talk.dose(1, STEPS)
    talk.world.sleep(5.0)
    talk.pump.unwatch()
    return talk.pump.places


def answer_to_status(talk):
    """The bytes that come within 0.3 s."""
    talk.session.request(StatusRequest(), talk.world.monotonic())
    talk.handle.write(talk.session.data_to_send())
    talk.world.sleep(0.3)
    return talk.handle.read(0.0)


def test_places_are_counted_alike_in_two_runs_and_not_before_or_after(swept):
    talk = swept()
    assert not talk.pump.places
    counted = places_of_a_bolus(talk).copy()
    talk.ask(StatusRequest())
    assert talk.pump.places == counted == places_of_a_bolus(swept())
    assert set(counted) == set(Place)


def test_a_blow_at_a_byte_lets_exactly_those_before_it_out(swept):
    whole = answer_to_status(swept())
    for nth in range(len(whole)):
        talk = swept()
        talk.pump.watch(Blow(Place.BYTE, nth, resets=False, off_s=0.4))
        assert answer_to_status(talk) == whole[:nth]
        assert talk.pump.has_struck


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("place", [place for place in Place if place is not Place.IN_CHIP])
def test_a_blow_at_the_last_place_of_its_kind_falls_and_the_bolus_began_once(swept, place, resets):
    last = places_of_a_bolus(swept())[place] - 1
    talk = swept()
    places_of_a_bolus(talk, Blow(place, last, resets, 0.4))
    assert talk.pump.has_struck
    talk.world.sleep(5.0)
    talk.open()
    assert talk.ask(CommandResultRequest(1)).state in (CommandState.DONE, CommandState.INTERRUPTED)
    assert len(talk.starts()) == 1
    assert talk.starts()[0] <= STEPS


def test_what_is_due_does_not_happen_where_power_goes_just_before_it(swept):
    states = set()
    for nth in range(places_of_a_bolus(swept())[Place.BEFORE_EVENT]):
        talk = swept()
        places_of_a_bolus(talk, Blow(Place.BEFORE_EVENT, nth, resets=False, off_s=0.01))
        talk.open()
        result = talk.ask(CommandResultRequest(1))
        states.add((result.state, sum(talk.starts())))
    assert (CommandState.INTERRUPTED, STEPS) in states
    assert (CommandState.DONE, STEPS) in states
    assert (CommandState.UNKNOWN, 0) in states


def test_power_goes_in_the_middle_of_a_write_to_the_memory(swept):
    unknown = []
    for nth in range(places_of_a_bolus(swept())[Place.IN_CHIP]):
        talk = swept()
        places_of_a_bolus(talk, Blow(Place.IN_CHIP, nth, resets=False, off_s=0.4))
        assert talk.pump.has_struck
        talk.open()
        unknown.append(talk.ask(CommandResultRequest(1)).state == CommandState.UNKNOWN)
        assert not (unknown[-1] and talk.starts())
    assert any(unknown)
    assert not all(unknown)


def test_bytes_that_come_late_arrive_just_before_the_event_that_was_chosen(swept):
    talk = swept()
    talk.session.request(Stop(), talk.world.monotonic())
    stop = talk.session.data_to_send()
    talk.session.abandon()
    talk.dose(1, STEPS)
    talk.pump.receive_late(stop, 0)
    assert not talk.pump.has_heard_late
    assert talk.pump.turns_now
    talk.world.sleep(60.0)
    assert talk.pump.has_heard_late
    assert talk.pump.late_moments > 60
    assert 0 < talk.starts()[0] < STEPS
