"""UNKNOWN and FORGOTTEN: no accepted command is ever said to be unknown, and no other longer than need be."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import protocol
from firmware_mock.firmware.memory import RESULTS_KEPT
from protocol import CommandState, ProposeBolus, ProposeContinuous


def test_an_id_that_was_overtaken_is_unknown_for_good_until_it_may_be_among_the_forgotten(host):
    pump = host()
    overtaken = pump.propose(ProposeBolus(3, 0.1, 0.0))
    pump.do(protocol.ProposeRefill(5, 20_000.0))
    assert pump.result(3).state == CommandState.UNKNOWN
    assert pump.commit(overtaken) == protocol.CommandResult(3, CommandState.UNKNOWN, 0.0, 0.0, 0)
    pump.pump.reboot()
    pump.forget()
    for command_id in range(6, 5 + RESULTS_KEPT):
        pump.do(protocol.ProposeRefill(command_id, 20_000.0))
    assert (pump.result(3).state, pump.result(5).state) == (CommandState.UNKNOWN, CommandState.DONE)
    pump.do(protocol.ProposeRefill(100, 20_000.0))
    assert pump.result(3).state == pump.result(5).state == CommandState.FORGOTTEN
    assert pump.result(99).state == CommandState.UNKNOWN
    assert pump.status().steps == 0


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["basal", "bolus", "refill", "stop"])), max_size=60))
def test_no_accepted_command_is_ever_said_to_be_unknown(host, story):
    pump = host()
    last_id, accepted = 0, set()
    for step, what in story:
        last_id += step
        if what == "stop":
            pump.propose(ProposeBolus(last_id, 0.1, 0.0))
            pump.stop()
            accepted.add(last_id)
            continue
        request = {
            "basal": ProposeContinuous(last_id, 1000.0, 0),
            "bolus": ProposeBolus(last_id, 0.1, 0.0),
            "refill": protocol.ProposeRefill(last_id, 20_000.0),
        }[what]
        pump.do(request)
        accepted.add(last_id)
        pump.world.sleep(1.0)
    unknown = {id_ for id_ in range(1, last_id + 3) if pump.result(id_).state == CommandState.UNKNOWN}
    forgotten = {id_ for id_ in range(1, last_id + 3) if pump.result(id_).state == CommandState.FORGOTTEN}
    assert not unknown & accepted
    assert len(accepted) - len(accepted & forgotten) <= RESULTS_KEPT + 1
    assert len(accepted) > RESULTS_KEPT or not forgotten
