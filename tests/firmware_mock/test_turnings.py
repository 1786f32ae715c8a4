"""The rotor's turnings: whatever it is told, each is told of once, and together they are all its steps."""

from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.head import Head
from firmware_mock.physics.thermostat import Thermostat
from firmware_mock.turnings import Began, Ended, TurningWatch
from firmware_mock.world import World
from protocol.profile import load_model

PERIOD_PS = 36_000_000_000

commands = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(10**6, 10**14)),
        st.tuples(st.just("steps"), st.integers(10**6, 10**12), st.integers(1, 10_000)),
        st.tuples(st.just("halt")),
        st.tuples(st.just("wait"), st.integers(0, 10**12)),
    ),
    max_size=30,
)


def watched():
    world, profile, effects = World(), load_model("implantable-20ml"), PumpEffects()
    head = Head(world, profile, effects, Thermostat(world, profile.head_temperature_c, effects))
    told, heard = [], []
    head.on_change = lambda: heard.append(head.steps_per_s(world.now_ns))
    TurningWatch(world, head, told.append)
    return world, head, told, heard


def test_a_run_of_steps_that_is_broken_off_tells_both_numbers():
    world, head, told, heard = watched()
    head.run_steps(PERIOD_PS, 70)
    world.sleep(1.0)
    head.halt()
    assert told == [Began(70), Ended(70, 27)]
    assert len(heard) == 2


@given(orders=commands)
def test_turnings_follow_each_other_and_hold_every_step(orders):
    world, head, told, _ = watched()
    before = head.counted_steps(world.now_ns)
    planned = []
    for order in orders:
        match order:
            case ("run", period_ps):
                head.run(period_ps)
                planned.append(None)
            case ("steps", period_ps, steps):
                head.run_steps(period_ps, steps)
                planned.append(steps)
            case ("halt",):
                head.halt()
            case ("wait", wait_ns):
                world.run_until(world.now_ns + wait_ns)
    head.halt()
    assert [what.planned for what in told if isinstance(what, Began)] == planned
    assert [type(what) for what in told] == [Began, Ended] * len(planned)
    made = [what.made for what in told if isinstance(what, Ended)]
    assert sum(made) == head.counted_steps(world.now_ns) - before
    assert all(steps is None or count <= steps for steps, count in zip(planned, made, strict=True))
