"""Virtual time: events in order, streams of their own, a trace that tells runs apart."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_mock import World
from firmware_mock.world import to_ns


@given(st.lists(st.integers(0, 1_000), max_size=40))
def test_events_run_in_order_of_time_and_equal_instants_in_order_of_asking(times_ns):
    world = World()
    ran = []
    for number, time_ns in enumerate(times_ns):
        world.at(time_ns, lambda event=(time_ns, number): ran.append((world.now_ns, event)))
    world.run_until(1_000)
    assert [event for _, event in ran] == sorted((time_ns, number) for number, time_ns in enumerate(times_ns))
    assert all(now_ns == event[0] for now_ns, event in ran)


def test_an_event_may_schedule_another_within_the_same_stretch():
    world = World()
    seen = []
    world.after(1.0, lambda: world.after(1.0, lambda: seen.append(world.monotonic())))
    world.sleep(3.0)
    assert seen == [2.0]
    assert world.monotonic() == 3.0


def test_a_cancelled_event_does_not_run_and_is_not_due():
    world = World()
    world.at(5, lambda: pytest.fail("cancelled, yet it ran")).cancel()
    assert world.next_event_ns() is None
    world.run_until(10)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1_000), st.integers(0, 10))
def test_events_that_were_cancelled_far_ahead_do_not_pile_up(seed, cancelled_of_ten):
    world = World(seed=seed)
    random = world.stream("test")
    ran, expected = [], []
    for number in range(3_000):
        time_ns, is_cancelled = random.randrange(50), random.randrange(10) < cancelled_of_ten
        event = world.at(time_ns, lambda order=(time_ns, number): ran.append(order))
        for _ in range(5):
            world.at(10**18, lambda: pytest.fail("cancelled, yet it ran")).cancel()
        if is_cancelled:
            event.cancel()
        else:
            expected.append((time_ns, number))
    assert len(world._heap) <= max(1024, 2 * len(expected)) + 1
    world.run_until(100)
    assert ran == sorted(expected)


def test_an_event_in_the_past_is_refused():
    world = World()
    world.sleep(1.0)
    with pytest.raises(ValueError, match="lies before now"):
        world.at(to_ns(0.5), lambda: None)


def test_a_wait_ends_at_the_event_that_makes_its_condition_true():
    world = World()
    rung = []
    world.after(2.0, lambda: rung.append(True))
    assert world.run_until(to_ns(10.0), until=lambda: bool(rung))
    assert world.monotonic() == 2.0
    assert not world.run_until(to_ns(10.0), until=lambda: False)
    assert world.monotonic() == 10.0


def test_time_never_runs_backwards():
    world = World()
    world.sleep(2.0)
    world.run_until(to_ns(1.0))
    assert world.monotonic() == 2.0


def test_a_stream_depends_on_seed_and_name_alone():
    draws = [World(seed=1).stream("a").random() for _ in range(2)]
    assert draws[0] == draws[1]
    assert World(seed=2).stream("a").random() != draws[0]
    world = World(seed=1)
    world.stream("b").random()
    assert world.stream("a").random() == draws[0]


def test_the_trace_hash_covers_instants_labels_and_contents():
    def traced(*entries, seconds=0.0):
        world = World()
        world.sleep(seconds)
        for label, value in entries:
            world.trace(label, value)
        return world.trace_hash()

    assert traced(("a", b"x")) == traced(("a", b"x"))
    different = {
        traced(),
        traced(("a", b"x")),
        traced(("a", b"y")),
        traced(("b", b"x")),
        traced(("a", 7)),
        traced(("a", b"x"), seconds=1.0),
        traced(("a", b"x"), ("a", b"")),
    }
    assert len(different) == 7


def test_closing_ends_the_simulation_once():
    world = World()
    closed = []
    world.at_close(lambda: closed.append(True))
    world.after(1.0, lambda: pytest.fail("ran after the end"))
    world.close()
    world.close()
    world.sleep(2.0)
    assert closed == [True]
