"""A loss of power at every byte of every write: the memory is the old or the new one, and no dose is given twice.

Where it was to be a therapy in place of another, the pump may stand instead of running the old one.
"""

from dataclasses import dataclass, field

import pytest

import protocol
from firmware_mock.firmware.flash import ERASE_NS, PROGRAM_NS
from firmware_mock.firmware.image import unpack_image
from protocol import (
    Alarm,
    BulkObject,
    BulkReader,
    CommandState,
    Commit,
    FlexStep,
    Mode,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposeFlex,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
)

OFF_S = 5.0


def committing(request, *before):
    """A pump that does all of `before` and waits for the COMMIT of `request`; what is cut is that."""

    def prepare(pump):
        for earlier in before:
            pump.do(earlier)
        return pump.propose(request)

    def act(pump, proposal):
        pump.send(Commit(proposal.command_id, proposal.token, proposal.digest))
        pump.world.sleep(0.05)

    return prepare, act


def asking(request, *before):
    def prepare(pump):
        for earlier in before:
            pump.do(earlier)

    def act(pump, _):
        pump.send(request)
        pump.world.sleep(0.05)

    return prepare, act


def waiting(seconds, *before):
    def prepare(pump):
        for earlier in before:
            pump.do(earlier)

    def act(pump, _):
        pump.world.sleep(seconds)

    return prepare, act


def stopping_with_a_proposal():
    def prepare(pump):
        pump.do(ProposeContinuous(1, 100.0, 0))
        pump.propose(ProposeContinuous(2, 200.0, 0))

    return prepare, asking(protocol.Stop())[1]


def under_a_lease(then):
    """A therapy that ends with its lease, which the lease then does in one way or another."""

    def prepare(pump):
        lease = pump.ask(protocol.LeaseRequest(0, 2_000, "test"))
        pump.do(ProposeContinuous(1, 100.0, 1))
        pump.do(ProposeBolus(2, 50.0, 0.0))
        return lease

    return prepare, then


def lease_runs_out(pump, _):
    pump.world.sleep(2.0)


def lease_is_released(pump, lease):
    pump.send(protocol.LeaseRelease(lease.lease_id))
    pump.world.sleep(0.05)


def stalled(*before):
    prepare, _ = waiting(0.0, *before)

    def prepare_and_stall(pump):
        prepare(pump)
        pump.world.sleep(1.0)
        pump.head.stall()

    return prepare_and_stall, waiting(5.0)[1]


def reset_during_a_bolus():
    def prepare(pump):
        pump.do(ProposeContinuous(1, 100.0, 0))
        pump.do(ProposeBolus(2, 50.0, 0.0))
        pump.world.sleep(20.0)

    def act(pump, _):
        pump.pump.reboot()

    return prepare, act


def power_back_after_a_cut():
    def prepare(pump):
        pump.do(ProposeContinuous(1, 100.0, 0))
        pump.do(ProposeBolus(2, 50.0, 0.0))
        pump.world.sleep(20.0)
        pump.pump.cut_power(2.0)
        pump.world.sleep(1.0)

    def act(pump, _):
        pump.world.sleep(1.5)

    return prepare, act


def pressing(*before):
    def act(pump, _):
        pump.pump.press_button()

    return waiting(0.0, *before)[0], act


BASAL = ProposeContinuous(1, 100.0, 0)
LIMITS = ProposePatientBolusLimits(1, 1, 5.0, 1000.0, 300, 4, 14_400, 1000.0)
CLOCK = ProposeTherapyClock(1, 7196, 0)
FLEX = ProposeFlex(2, 0, (FlexStep(127, 0, 100.0), FlexStep(127, 120, 1000.0)))
KINDS = {
    "commit of a continuous infusion": committing(ProposeContinuous(1, 100.0, 0)),
    "commit of another one": committing(ProposeContinuous(2, 1000.0, 0), BASAL),
    "commit of a bolus": committing(ProposeBolus(2, 50.0, 0.0), BASAL),
    "commit of a priming bolus": committing(ProposePrime(1, 50.0, 0.0)),
    "commit of a bridge": committing(ProposeBridge(1, 50.0, 1000.0, 10.0, 0)),
    "commit of a trial": committing(ProposeTrial(1, 1000.0, 3600, 0)),
    "commit of a flex therapy": committing(FLEX, CLOCK),
    "next step of a flex therapy": waiting(5.0, CLOCK, FLEX),
    "commit of the therapy clock under a flex therapy": committing(ProposeTherapyClock(3, 7200, 0), CLOCK, FLEX),
    "commit of a patient bolus": committing(ProposePatientBolus(3, 0.0, 0.0), LIMITS, ProposeContinuous(2, 100.0, 0)),
    "press of the patient's button": pressing(LIMITS, ProposeContinuous(2, 100.0, 0)),
    "commit of limits": committing(ProposePatientBolusLimits(2, 0, 5.0, 1000.0, 300, 4, 14_400, 1000.0), BASAL),
    "commit of a calibration": committing(ProposeCalibration(1, 10.5)),
    "commit of a refill": committing(ProposeRefill(2, 15_000.0), BASAL),
    "commit of the therapy clock": committing(ProposeTherapyClock(2, 86_400, 3600), BASAL),
    "stop of bolus and infusion": asking(protocol.Stop(), BASAL, ProposeBolus(2, 50.0, 0.0)),
    "stop while a proposal waits": stopping_with_a_proposal(),
    "end of a bolus": waiting(5.0, BASAL, ProposeBolus(2, 1.0, 0.0)),
    "end of a stalled bolus": stalled(BASAL, ProposeBolus(2, 1.0, 0.0)),
    "end of a stalled bridge's first part": stalled(ProposeBridge(1, 1.0, 1000.0, 10.0, 0)),
    "end of a bridge's first part": waiting(5.0, ProposeBridge(1, 1.0, 1000.0, 10.0, 0)),
    "end of a trial": waiting(5.0, ProposeTrial(1, 1000.0, 4, 0)),
    "lease granted": asking(protocol.LeaseRequest(0, 60_000, "test"), BASAL),
    "lease released": under_a_lease(lease_is_released),
    "lease run out": under_a_lease(lease_runs_out),
    "self-test": asking(protocol.SelfTestRequest(0), BASAL),
    "reset": reset_during_a_bolus(),
    "start after a cut": power_back_after_a_cut(),
}


THERAPIES = {
    "commit of a continuous infusion",
    "commit of another one",
    "commit of a bridge",
    "commit of a trial",
    "commit of a flex therapy",
}


@dataclass
class Spied:
    """What the chip did in an act that was not cut: the instants of all bytes, and the memories that were written."""

    instants_ns: list = field(default_factory=list)
    memories: list = field(default_factory=list)


def spy(pump):
    spied = Spied([], [pump.pump._nvram.memory])
    flash, nvram = pump.pump._nvram._flash, pump.pump._nvram
    fitting, on_write = flash._fitting, nvram.on_write

    def watched(times, each_ns):
        start_ns = max(flash._free_ns, pump.world.now_ns)
        if each_ns == ERASE_NS:
            spied.instants_ns += [start_ns, start_ns + ERASE_NS // 2]
        else:
            spied.instants_ns += [start_ns + PROGRAM_NS * place for place in range(times)]
        return fitting(times, each_ns)

    def written():
        spied.memories.append(nvram.memory)
        on_write()

    flash._fitting, nvram.on_write = watched, written
    return spied


def newest_memory(pump):
    images = [image for slot in pump.pump._nvram._slots if (image := unpack_image(slot)) is not None]
    return max(images, key=lambda image: image.generation).memory


@pytest.mark.parametrize("kind", KINDS)
def test_every_byte_at_which_power_may_go_leaves_the_old_or_the_new(host, truth, kind):
    prepare, act = KINDS[kind]
    pump = host()
    prepared = prepare(pump)
    pump.world.sleep(0.5)
    spied = spy(pump)
    act(pump, prepared)
    assert len(spied.memories) > 1
    seen = set()
    for instant_ns in spied.instants_ns:
        pump = host()
        made = truth(pump)
        prepared = prepare(pump)
        pump.world.sleep(0.5)
        left = []
        pump.pump.cut_power_at(instant_ns, OFF_S, lambda left=left, pump=pump: left.append(newest_memory(pump)))
        act(pump, prepared)
        [memory] = left
        assert memory in spied.memories
        seen.add(spied.memories.index(memory))
        pump.world.sleep(OFF_S + 30.0)
        is_new = memory is spied.memories[-1] or memory == spied.memories[-1]
        is_left_undone = kind in THERAPIES and not is_new
        check_doses(pump, made, memory, is_second=kind == "start after a cut", may_stand=is_left_undone)
    assert seen == {spied.memories.index(memory) for memory in spied.memories}


def check_doses(pump, made, memory, *, is_second, may_stand):
    """After power came back: basal runs again, a bolus does not, and every result holds the truth."""
    pump.forget()
    status = pump.status()
    was_interrupted = status.alarms == Alarm.PROGRAMMING_INTERRUPTED
    assert may_stand or not was_interrupted
    ended = was_interrupted or memory.therapy is None or (memory.therapy.ends_with_lease and memory.leased)
    if was_interrupted or memory.therapy is None or memory.therapy.mode is not Mode.TRIAL:
        assert (status.mode == Mode.STOPPED) == ended
    assert status.mode not in (Mode.BOLUS, Mode.PRIMING)
    steps, step_ul = made.steps(), status.step_volume_nl * 1e-3
    for command_id in range(1, 4):
        before_ul = steps[command_id] * step_ul
        result = pump.result(command_id)
        after_ul = made.steps()[command_id] * step_ul
        if result.state in (CommandState.UNKNOWN, CommandState.FORGOTTEN):
            assert after_ul == 0.0
        else:
            low_ul, high_ul = result.delivered_low_ul, result.delivered_high_ul
            assert low_ul - 1e-9 <= after_ul
            assert before_ul <= high_ul + 1e-9
            assert high_ul - low_ul <= (2.0 if is_second else 1.0) + 1e-9
    assert memory.bolus is None or made.starts[memory.bolus.command_id] <= 1
    doses = pump.pull(BulkReader(BulkObject.DOSE_HISTORY))
    results = [pump.result(dose.command_id) for dose in doses]
    assert [(d.command_id, d.state, d.delivered_low_ul, d.delivered_high_ul) for d in doses] == [
        (r.command_id, r.state, r.delivered_low_ul, r.delivered_high_ul) for r in results
    ]
    assert len({dose.command_id for dose in doses}) == len(doses)
    over = [result for result in map(pump.result, range(1, 4)) if result.state not in NO_END]
    assert {dose.command_id for dose in doses} >= {r.command_id for r in over if steps[r.command_id]}
    log = BulkReader(BulkObject.EVENT_LOG)
    boots = [record for record in pump.pull(log) if record.code == protocol.EventCode.BOOT]
    assert log.damaged == ()
    assert len({record.boot_id for record in boots}) == len(boots)
    if memory.step_volume_nl != 10.0:
        assert [r.step_volume_nl for r in pump.pull(BulkReader(BulkObject.CALIBRATION_HISTORY))] == [10.5]


NO_END = (CommandState.UNKNOWN, CommandState.FORGOTTEN, CommandState.RUNNING)
