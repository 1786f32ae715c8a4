"""What faults do to the pump itself, and that each tells when it acted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.faults import FaultKind
from firmware_mock.firmware.watchdog import TIMEOUT_S
from firmware_mock.world import to_ns
from protocol import (
    Alarm,
    CommandResultRequest,
    CommandState,
    Commit,
    FirmwareInformationRequest,
    ProposeBolus,
    Refused,
    ResetCause,
    Status,
    StatusRequest,
    Stop,
    TimedOut,
    encode,
)

STEPS = 100


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
def test_power_that_goes_in_a_write_leaves_a_dose_of_which_the_pump_claims_no_more_than_is_so(new_talk, seed):
    talk = new_talk()
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
    [made] = talk.starts()
    assert 0 < made < STEPS
    result = talk.ask(CommandResultRequest(1))
    assert result.state == CommandState.FAILED
    assert result.delivered_low_ul == result.delivered_high_ul == pytest.approx(0.01 * made)
    assert talk.ask(StatusRequest()).alarms == Alarm.MOTOR_STALL


@pytest.mark.parametrize("amount", [0, 1, 2, 4])
def test_memory_that_decays_while_power_is_away_is_the_same_again_or_lost(talk, amount):
    talk.dose(1)
    talk.world.sleep(60.0)
    stored = [bytes(slot) for slot in talk.pump._firmware._nvram.slots]
    talk.arm(kind=FaultKind.NVRAM_ROT, amount=amount, duration_s=2.0)
    talk.handle.write(encode(StatusRequest(), seq=40001))
    talk.world.sleep(1.0)
    assert talk.has_acted
    decayed = [bytes(slot) for slot in talk.pump._firmware._nvram.slots]
    assert sum(was != now for was, now in zip(stored, decayed, strict=True)) >= max(0, 2 - amount)
    talk.world.sleep(2.0)
    talk.open()
    status, result = talk.ask(StatusRequest()), talk.ask(CommandResultRequest(1))
    assert talk.pump.memory_is_lost == bool(status.alarms & Alarm.MEMORY_ERROR)
    assert amount != 0 or talk.pump.memory_is_lost
    assert amount != 1 or not talk.pump.memory_is_lost
    assert result.state == (CommandState.FORGOTTEN if talk.pump.memory_is_lost else CommandState.DONE)
    refused = talk.ask(ProposeBolus(2, 1.0, 0.0))
    assert isinstance(refused, Refused) == talk.pump.memory_is_lost


@given(st.integers(0, 2**32 - 1), st.integers(0, 4))
def test_decay_always_changes_something_that_is_stored(new_talk, seed, amount):
    talk = new_talk()
    nvram = talk.pump._firmware._nvram
    before = [bytes(nvram.slots[0]), bytes(nvram.slots[1]), tuple(nvram.events._sealed)]
    talk.arm(kind=FaultKind.NVRAM_ROT, amount=amount, duration_s=2.0, seed=seed)
    talk.handle.write(encode(StatusRequest(), seq=40001))
    talk.world.sleep(1.0)
    assert talk.has_acted
    assert [bytes(nvram.slots[0]), bytes(nvram.slots[1]), tuple(nvram.events._sealed)] != before
    talk.world.close()
    assert talk.world.ledger.open().evidence["fault.nvram-rot"] == 1


@pytest.mark.parametrize(
    ("seam", "starts"),
    [(0, []), (1, []), (2, [27]), (3, [27]), (4, [27])],
)
def test_a_firmware_that_hangs_is_reset_by_its_watchdog_and_the_bolus_is_over(talk, seam, starts):
    proposal = talk.ask(ProposeBolus(1, 1.0, 0.0))
    talk.arm(kind=FaultKind.WATCHDOG, message_type=Commit.TYPE, amount=seam, duration_s=0.4)
    talk.ask(Commit(1, proposal.token, proposal.digest))
    assert talk.has_acted
    assert talk.port.cleared_ns == pytest.approx(to_ns(TIMEOUT_S + 0.4), abs=to_ns(0.1))
    talk.world.sleep(60.0)
    result = talk.ask(CommandResultRequest(1))
    assert result.state == (CommandState.INTERRUPTED if seam else CommandState.UNKNOWN)
    assert result.delivered_low_ul == result.delivered_high_ul == pytest.approx(0.01 * sum(starts))
    assert talk.starts() == starts
    assert talk.ask(FirmwareInformationRequest()).reset_cause == ResetCause.WATCHDOG


def test_a_hang_that_is_spared_does_not_come_later(talk):
    talk.arm(kind=FaultKind.WATCHDOG, amount=1)
    talk.ask(StatusRequest())
    talk.port.disarm()
    talk.dose(1)
    talk.world.sleep(60.0)
    assert not talk.has_acted
    assert talk.starts() == [STEPS]


def test_a_drifting_crystal_makes_its_steps_early_or_late(new_talk):
    lasted_ns = []
    for ppm in (0.0, 500.0):
        talk = new_talk(clock_error_ppm=ppm)
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
