"""What is done with a pump: short stories in which every safety property has something to say."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from math import inf, nan

from mutating.scene import Scene
from protocol import (
    AcknowledgeAlarms,
    Alarm,
    AlarmsRequest,
    Commit,
    HelloRequest,
    LeaseRequest,
    Message,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposeMinimumRate,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
    StatusRequest,
    Stop,
)

STORIES: dict[str, Callable[[], Scene]] = {}
HOUR_S = 3600.0


def story(tell: Callable[[], Scene]) -> Callable[[], Scene]:
    """Enters a story under its name."""
    STORIES[tell.__name__] = tell
    return tell


@story
def dosing() -> Scene:
    """Basal, boluses on top, a bridge, a trial, stops."""
    it = Scene()
    it.do(ProposeContinuous, 700.0, 0)
    it.sleep(HOUR_S)
    it.do(ProposeBolus, 20.0, 500.0)
    it.sleep(60.0)
    it.ask(StatusRequest())
    it.sleep(200.0)
    it.do(ProposeBolus, 5.0, 0.0)
    it.sleep(5.0)
    it.ask(Stop())
    it.sleep(60.0)
    it.ask(StatusRequest())
    it.do(ProposeMinimumRate, 0.0, 0)
    it.sleep(HOUR_S)
    it.do(ProposeBridge, 3.0, 100.0, 50.0, 0)
    it.sleep(HOUR_S)
    it.do(ProposeTrial, 100.0, 600, 0)
    it.sleep(HOUR_S)
    it.do(ProposeBolus, 2.0, 1000.0)
    it.sleep(60.0)
    it.ask(StatusRequest())
    return it


@story
def calibrated() -> Scene:
    """Volumes before and after a calibration."""
    it = Scene()
    it.do(ProposeContinuous, 500.0, 0)
    it.sleep(HOUR_S)
    it.ask(Stop())
    it.do(ProposeCalibration, 11.5)
    it.ask(StatusRequest())
    it.do(ProposeContinuous, 500.0, 0)
    it.sleep(HOUR_S)
    it.ask(StatusRequest())
    return it


@story
def limits() -> Scene:
    """What is too much, too little or no number, and what is just allowed."""
    it = Scene()
    for value in (nan, inf, -inf, -1.0, 0.0, 1.9, 1000.1, 1e9):
        it.do(ProposeContinuous, value, 0)
        it.ask(Stop())
    for value in (nan, inf, -1.0, 1000.5, 1e9):
        it.do(ProposeBolus, value, 0.0)
        it.do(ProposePrime, value, 0.0)
        it.do(ProposeRefill, 50.0 * value)
        it.do(ProposeCalibration, 10.0 + value)
        it.do(ProposeBridge, 1.0, value, 10.0, 0)
        it.ask(Stop())
    for value in (nan, 7.9, 12.1):
        it.do(ProposeCalibration, value)
    it.do(ProposeContinuous, 1000.0, 0)
    it.do(ProposeBolus, 1000.0, 1000.0)
    it.ask(Stop())
    for nl in (8.0, 12.0):
        it.do(ProposeCalibration, nl)
        it.do(ProposeContinuous, 1000.0, 0)
        it.do(ProposeBolus, 999.999, 1000.0)
        it.ask(Stop())
        it.do(ProposeRefill, 20_000.0)
    return it


@story
def tokens() -> Scene:
    """COMMITs that are late, repeated, of another proposal, or of an id that is used up."""
    it = Scene()
    it.do(ProposeContinuous, 100.0, 0)
    late = it.propose(ProposeBolus, 1.0, 0.0)
    it.sleep(45.0)
    it.commit(late)
    first = it.propose(ProposeBolus, 1.0, 0.0)
    second = it.propose(ProposeBolus, 2.0, 0.0)
    it.ask(Commit(first.command_id, second.token, second.digest))
    it.commit(first)
    it.commit(second)
    it.sleep(20.0)
    it.commit(second)
    it.sleep(20.0)
    it.commit(second)
    it.commit(it.ask(ProposeBolus(second.command_id, 2.0, 0.0)))
    it.sleep(20.0)
    it.happen(it.firmware.reboot)
    it.hello()
    it.commit(it.ask(ProposeBolus(second.command_id, 2.0, 0.0)))
    it.commit(second)
    it.sleep(20.0)
    waiting = it.propose(ProposeBolus, 1.0, 0.0)
    it.ask(Stop())
    it.commit(waiting)
    it.sleep(20.0)
    return it


@story
def stalled() -> Scene:
    """The rotor stands under basal and under a bolus, and is freed again."""
    it = Scene()
    it.do(ProposeContinuous, 100.0, 0)
    it.sleep(HOUR_S)
    it.happen(partial(it.head.stall, held=True))
    it.sleep(1.5 * HOUR_S)
    it.ask(StatusRequest())
    it.happen(it.head.free)
    it.sleep(HOUR_S)
    it.ask(StatusRequest())
    it.do(ProposeBolus, 5.0, 100.0)
    it.sleep(60.0)
    it.happen(it.head.stall)
    it.sleep(600.0)
    it.ask(StatusRequest())
    it.sleep(HOUR_S)
    it.ask(Stop())
    return it


@story
def power() -> Scene:
    """Power and resets in the middle of boluses."""
    it = Scene()
    it.do(ProposeContinuous, 100.0, 0)
    for off_s in (0.2, 5.0):
        it.sleep(HOUR_S)
        it.do(ProposeBolus, 5.0, 500.0)
        it.sleep(11.3)
        it.happen(partial(it.firmware.cut_power, off_s))
        it.sleep(60.0)
        it.hello()
        it.ask(StatusRequest())
    it.do(ProposeBolus, 5.0, 500.0)
    it.sleep(11.3)
    it.happen(it.firmware.reboot)
    it.sleep(60.0)
    it.hello()
    it.ask(StatusRequest())
    it.ask(Stop())
    return it


@story
def priming() -> Scene:
    """A priming bolus, asked for again before and after a reset, and after a refill."""
    it = Scene()
    it.do(ProposePrime, 20.0, 1000.0)
    it.sleep(200.0)
    it.do(ProposePrime, 20.0, 1000.0)
    it.sleep(200.0)
    it.happen(it.firmware.reboot)
    it.hello()
    it.do(ProposePrime, 20.0, 1000.0)
    it.sleep(200.0)
    it.do(ProposeRefill, 20_000.0)
    it.do(ProposePrime, 20.0, 1000.0)
    it.sleep(200.0)
    it.ask(StatusRequest())
    return it


@story
def emptied() -> Scene:
    """Down to low and to empty, and refilled."""
    it = Scene(filled_ul=2_500.0)
    it.do(ProposeContinuous, 1000.0, 0)
    it.sleep(HOUR_S)
    it.ask(StatusRequest())
    it.ask(AlarmsRequest())
    it.ask(AcknowledgeAlarms(Alarm.LOW_RESERVOIR, 0))
    it.sleep(3 * HOUR_S)
    it.ask(StatusRequest())
    it.ask(AlarmsRequest())
    it.ask(AcknowledgeAlarms(Alarm.EMPTY_RESERVOIR | Alarm.LOW_RESERVOIR, 60))
    it.do(ProposeRefill, 20_000.0)
    it.sleep(60.0)
    it.ask(StatusRequest())
    return it


@story
def flat() -> Scene:
    """The battery down to its end."""
    it = Scene(battery_used_pct=94.9)
    it.do(ProposeContinuous, 1000.0, 0)
    for _ in range(12):
        it.sleep(18 * HOUR_S)
        it.do(ProposeRefill, 20_000.0)
    it.sleep(60 * 24 * HOUR_S)
    return it


@story
def rotten() -> Scene:
    """Memory that decays without power: settings of one slot and of both, and both for good."""
    it = Scene()
    it.do(ProposeCalibration, 11.0)
    it.do(ProposeContinuous, 100.0, 0)
    it.sleep(HOUR_S)
    for slots in (1, 2):
        it.happen(partial(it.firmware.cut_power, 5.0))
        for slot in it.firmware.inside.nvram.slots[:slots]:
            slot[25] ^= 0x10
        it.sleep(60.0)
        it.hello()
        it.ask(StatusRequest())
        it.do(ProposeBolus, 1.0, 0.0)
        it.sleep(60.0)
    it.happen(partial(it.firmware.cut_power, 5.0))
    it.firmware.rot(random.Random(1), slots=2)
    it.sleep(60.0)
    it.hello()
    it.ask(StatusRequest())
    return it


@story
def hanging() -> Scene:
    """The main loop hangs under basal and under a bolus."""
    it = Scene()
    it.do(ProposeContinuous, 1000.0, 0)
    it.sleep(60.0)
    it.happen(it.firmware.hang)
    it.sleep(30.0)
    it.hello()
    it.do(ProposeBolus, 5.0, 1000.0)
    it.sleep(3.0)
    it.happen(it.firmware.hang)
    it.sleep(30.0)
    it.hello()
    it.ask(StatusRequest())
    return it


@story
def standing() -> Scene:
    """A pump that nobody starts again, reset meanwhile."""
    it = Scene()
    it.do(ProposeContinuous, 100.0, 0)
    it.sleep(HOUR_S)
    it.ask(Stop())
    it.sleep(30 * HOUR_S)
    it.happen(it.firmware.reboot)
    it.sleep(19 * HOUR_S)
    it.hello()
    it.ask(StatusRequest())
    it.ask(AlarmsRequest())
    it.ask(AcknowledgeAlarms(Alarm.STOPPED_TOO_LONG, 0))
    return it


@story
def silent() -> Scene:
    """A host that is never heard of again: leases run out, a proposal waits, a bolus is under way."""
    it = Scene()
    it.ask(LeaseRequest(0, 120_000, "host"))
    it.do(ProposeContinuous, 100.0, 0)
    it.do(ProposeBolus, 2.0, 100.0)
    it.sleep(110.0)
    it.propose(ProposeContinuous, 1000.0, 0)
    it.cable.is_cut = True
    it.sleep(2 * HOUR_S)
    it.cable.is_cut = False
    it.hello()
    it.ask(LeaseRequest(0, 60_000, "host"))
    it.do(ProposeContinuous, 100.0, 1)
    it.cable.is_cut = True
    it.sleep(2 * HOUR_S)
    it.cable.is_cut = False
    it.hello()
    it.ask(StatusRequest())
    return it


@story
def flooded() -> Scene:
    """Requests as fast as they come, good and bad, while basal and a bolus run."""
    it = Scene()
    it.do(ProposeContinuous, 300.0, 0)
    it.sleep(60.0)
    it.do(ProposeBolus, 5.0, 900.0)
    requests: tuple[Message, ...] = (StatusRequest(), AlarmsRequest(), LeaseRequest(9, 1, "x"), HelloRequest(1, 0, 77))
    for number in range(600):
        it.ask(requests[number % len(requests)])
        it.ask_bytes(b"\x00\x05noise\x00")
        it.propose(ProposeBolus, 1e6, 0.0)
        it.sleep(0.05)
    it.sleep(60.0)
    it.ask(StatusRequest())
    return it


@story
def long() -> Scene:
    """Hours on end with a word now and then, resets and settings of the clock."""
    it = Scene()
    it.do(ProposeContinuous, 10.0, 0)
    for hour in range(1, 8):
        it.sleep(HOUR_S)
        it.ask(StatusRequest())
        if hour % 3 == 0:
            it.happen(it.firmware.reboot)
            it.hello()
            it.ask(StatusRequest())
        it.do(ProposeTherapyClock, 1_800_000_000 - 3600 * hour, 3600)
    return it
