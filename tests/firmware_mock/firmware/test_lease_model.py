"""The lease against a small model: two hosts in any order, with time, stops and resets in between."""

from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import protocol
from protocol import (
    Ack,
    Alarm,
    CommandResult,
    CommandState,
    Lease,
    LeaseRelease,
    LeaseRequest,
    LeaseStatusRequest,
    Mode,
    NakReason,
    OnLeaseLoss,
    Proposal,
    ProposeContinuous,
    SelfTestRequest,
)

CONTINUE, STOP = OnLeaseLoss.CONTINUE, OnLeaseLoss.STOP


@dataclass
class Model:
    """What the rules say: who may do what, and what runs. Times in ns of the instant a request is received."""

    session: int = 0
    lease_id: int = 0
    owner: int = 0
    expires_ns: int = 0
    therapy: OnLeaseLoss | None = None
    lost: bool = False
    token: OnLeaseLoss | None = None

    def run_to(self, now_ns):
        if self.lease_id and now_ns >= self.expires_ns:
            self.run_out()

    def run_out(self):
        self.lease_id, self.token = 0, None
        if self.therapy is STOP:
            self.therapy, self.lost = None, True

    @property
    def shut_out(self):
        return self.lease_id != 0 and self.owner != self.session


ACTIONS = st.one_of(
    st.tuples(st.just("take"), st.integers(1, 9), st.sampled_from(["new", "renew", "wrong"])),
    st.tuples(st.just("release"), st.sampled_from(["right", "wrong"])),
    st.tuples(st.just("propose"), st.sampled_from([CONTINUE, STOP])),
    st.tuples(st.just("commit")),
    st.tuples(st.just("stop")),
    st.tuples(st.just("self-test")),
    st.tuples(st.just("sleep"), st.integers(1, 5)),
    st.tuples(st.just("reboot")),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), ACTIONS), min_size=5, max_size=40))
def test_two_hosts_in_any_order_find_the_rules_of_the_lease(host, script):
    """Each step is one host's; a host that was not the last to speak opens a session first."""
    pump = host()
    model, speaker, command_id, known_id, proposal = Model(), None, 0, 0, None
    received_ns = []
    receive = pump.port.on_receive

    def note(data):
        received_ns.append(pump.world.now_ns)
        receive(data)

    pump.port.on_receive = note
    for number, (who, (action, *details)) in enumerate(script):
        if action == "sleep":
            pump.world.sleep(details[0])
        elif action == "reboot":
            model.run_to(pump.world.now_ns)
            pump.pump.reboot()
            model.run_out()
        else:
            if who is not speaker:
                speaker, model.session = who, model.session + 1
                pump.hello(1000 * number)
            match action, details:
                case "take", [seconds, which]:
                    asked_id = {"new": 0, "renew": known_id, "wrong": known_id + 1}[which]
                    reply = pump.ask(LeaseRequest(asked_id, 1000 * seconds, f"host {who}"))
                    model.run_to(received_ns[-1])
                    if model.lease_id == asked_id:
                        assert isinstance(reply, Lease), reply
                        model.lease_id = known_id = reply.lease_id
                        model.owner = model.session
                        model.expires_ns = received_ns[-1] + seconds * 10**9
                    else:
                        assert reply.reason == (NakReason.LEASE_HELD if model.lease_id else NakReason.NO_LEASE)
                case "release", [which]:
                    reply = pump.ask(LeaseRelease(known_id + (which == "wrong")))
                    model.run_to(received_ns[-1])
                    if model.lease_id and which == "right":
                        assert reply == Ack()
                        model.lease_id, model.token = 0, None
                        model.therapy = CONTINUE if model.therapy is STOP else model.therapy
                    else:
                        assert reply.reason == (NakReason.LEASE_HELD if model.lease_id else NakReason.NO_LEASE)
                case "propose", [on_loss]:
                    command_id += 1
                    reply = pump.ask(ProposeContinuous(command_id, 100.0, on_loss))
                    model.run_to(received_ns[-1])
                    if model.shut_out:
                        assert reply.reason == NakReason.LEASE_HELD
                    elif on_loss is STOP and not model.lease_id:
                        assert reply.reason == NakReason.NO_LEASE
                    else:
                        proposal, model.token = reply, on_loss
                case "commit", []:
                    if not isinstance(proposal, Proposal):
                        continue
                    reply = pump.commit(proposal)
                    model.run_to(received_ns[-1])
                    if model.shut_out:
                        assert reply.reason == NakReason.LEASE_HELD
                    elif model.token is not None and not (
                        isinstance(reply, protocol.Nak) and reply.reason == NakReason.EXPIRED
                    ):
                        assert reply.state == CommandState.RUNNING
                        model.therapy, model.token, model.lost = model.token, None, False
                    else:
                        model.token = None
                        assert isinstance(reply, CommandResult) or reply.reason in (
                            NakReason.BAD_TOKEN,
                            NakReason.EXPIRED,
                        )
                case "stop", []:
                    pump.stop()
                    model.run_to(received_ns[-1])
                    model.therapy = model.token = None
                case "self-test", []:
                    reply = pump.ask(SelfTestRequest(0))
                    model.run_to(received_ns[-1])
                    assert (isinstance(reply, protocol.Nak) and reply.reason == NakReason.LEASE_HELD) == model.shut_out
        status = pump.status()
        model.run_to(received_ns[-1])
        assert (status.mode == Mode.STOPPED) == (model.therapy is None)
        assert bool(status.alarms & Alarm.LEASE_LOST) == model.lost
        held = pump.ask(LeaseStatusRequest())
        model.run_to(received_ns[-1])
        assert (held.remaining_ms > 0) == (model.lease_id != 0)
        assert held.lease_id == (0 if model.shut_out else model.lease_id)
