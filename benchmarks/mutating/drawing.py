"""Which pump a walk begins with and which steps it takes, each from a number: what a clinic, a body and bad luck do."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf, nan
from typing import Any

from firmware_mock.physics.service_life import S_PER_DAY, S_PER_YEAR
from mutating.body import Physics
from mutating.scene import STARTS_UTC_S
from mutating.walk import Setting, Step
from protocol import (
    KEY_BYTES,
    AcknowledgeAlarms,
    AlarmsRequest,
    ClockRequest,
    Day,
    FlexStep,
    PatientBolusLimitsRequest,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
    SelfTestItem,
    SelfTestRequest,
    StatusRequest,
    Stop,
    TherapyRequest,
)

RATES = (2.0, 17.3, 100.0, 777.0, 1000.0)
VOLUMES = (0.01, 0.5, 5.0, 20.0, 300.0)
ODD = (nan, inf, -1.0, 0.0, 1e-9, 1e9)
WAITS_S = (0.0, 0.3, 2.0, 31.0, 300.0, 3600.0, 9000.0, 90_000.0)
LIFE_S = 7.0 * S_PER_YEAR
REPLACEMENT_S = 90.0 * S_PER_DAY
_KEY = bytes(range(KEY_BYTES))
_LEAKS = (
    Physics(),
    Physics(),
    Physics(overfill_pct=-10.0),
    Physics(overfill_pct=10.0, reservoir_hpa=350.0, leak_ul_per_h_per_hpa=0.01, slope_per_hpa=2e-5),
    Physics(reservoir_hpa=-5.0, leak_ul_per_h_per_hpa=0.05),
    Physics(leak_ul_per_h_per_hpa=0.002, slope_per_hpa=2e-5, propellant=True),
)


def setting_of(number: int) -> Setting:
    """Most are full, open and new; some are nearly empty, flat, old, or have a key."""
    stream = random.Random(number)
    return Setting(
        filled_ul=stream.choice((20_000.0, 20_000.0, 20_000.0, 2_050.0, 2_001.0, 60.0, 25.0)),
        key=stream.choice((None, None, None, _KEY)),
        physics=stream.choice(_LEAKS),
        battery_used_pct=stream.choice((0.0,) * 12 + (94.9998, 99.9999)),
        served_s=stream.choice((0.0,) * 12 + (LIFE_S - REPLACEMENT_S - 7_200.0, LIFE_S - 20_000.0)),
        clock_is_set=stream.random() < 0.7,
    )


def step_of(number: int) -> Step:
    """One that a walk may take wherever it is."""
    stream = random.Random(number)
    name = stream.choice(_NAMES)
    return (name, *_STEPS[name][1](stream))


def _command(stream: random.Random) -> Step:
    rate, volume = stream.choice(RATES), stream.choice(VOLUMES)
    if stream.random() < 0.1:
        rate = stream.choice(ODD)
    if stream.random() < 0.1:
        volume = stream.choice(ODD)
    choices: tuple[Step, ...] = (
        (ProposeContinuous, rate, stream.choice((0, 0, 1))),
        (ProposeContinuous, rate, 0),
        (ProposeBolus, volume, rate),
        (ProposeBolus, volume, 0.0),
        (ProposePrime, volume, rate),
        (ProposeMinimumRate, 0.0, stream.choice((0, 0, 1))),
        (ProposeBridge, volume, rate, stream.choice(RATES), 0),
        (ProposeTrial, rate, stream.choice((10, 600, 50_000)), 0),
        (ProposePatientBolusLimits, stream.choice((0, 1, 1)), *_limits(stream, volume, rate)),
        (ProposePatientBolus, 0.0, 0.0),
        (ProposePatientBolus, 0.0, 0.0),
        (ProposeFlex, stream.choice((0, 0, 1)), _flex(stream)),
        (ProposeTherapyClock, STARTS_UTC_S + stream.randrange(-90_000, 90_000), stream.choice((0, 3600, 7200))),
        (ProposeRefill, stream.choice((0.0, 30.0, 2_001.0, 20_000.0, 20_000.0, nan))),
        (ProposeCalibration, stream.choice((8.0, 10.0, 12.0, nan, 13.0))),
    )
    return stream.choice(choices)


def _limits(stream: random.Random, volume: float, rate: float) -> Step:
    spare_ul = stream.choice((0.1, 5.0, 100.0, 3000.0))
    lockout_s, most = stream.choice((300, 900, 7200)), stream.choice((1, 3, 10))
    return volume, rate, lockout_s, most, stream.choice((600, 3600, 14_400)), volume + spare_ul


def _flex(stream: random.Random) -> tuple[FlexStep, ...]:
    starts = sorted(stream.sample(range(1440), stream.randrange(1, 6)))
    days = stream.choice((Day(sum(Day)), Day(sum(Day)), Day(0b1010101)))
    return tuple(FlexStep(days, start, stream.choice((0.0, 2.0, 5.0, 17.3, 100.0, 1000.0))) for start in starts)


def _question(stream: random.Random) -> Step:
    questions = (
        StatusRequest(),
        AlarmsRequest(),
        TherapyRequest(),
        ClockRequest(7),
        PatientBolusLimitsRequest(),
        SelfTestRequest(0),
        AcknowledgeAlarms(stream.getrandbits(14), stream.choice((0, 600, 86_400))),
    )
    return (stream.choice(questions),)


def _allowed(stream: random.Random) -> Step:
    volume, rate = stream.choice((0.5, 5.0, 20.0)), stream.choice((0.0, 300.0, 1000.0))
    return stream.choice((2.0, 17.3, 100.0)), *_limits(stream, volume, rate)


def _bad_luck(stream: random.Random) -> Step:
    return stream.choice((0, 1, 4)), stream.choice((0, 0, 1, 1, 2)), stream.choice((0.2, 1.2))


def _filling(stream: random.Random) -> Step:
    return (
        stream.choice((0.0, 30.0, 2_000.0, 20_000.0)),
        stream.choice((0.0, 2_000.0)),
        stream.choice((0.0, 0.0, 0.2, 1.0)),
    )


def _cut_short(stream: random.Random) -> Step:
    """Anywhere in the writing of anything, or early in that of a therapy."""
    off_s = stream.choice((0.3, 1.3))
    if stream.random() < 0.5:
        return stream.randrange(120_000_000), off_s, *_command(stream)
    return stream.randrange(30_000_000), off_s, ProposeContinuous, stream.choice(RATES), 0


def _nothing(stream: random.Random) -> Step:
    return ()


_STEPS: dict[str, tuple[int, Callable[[random.Random], tuple[Any, ...]]]] = {
    "do": (24, _command),
    "wait_with": (3, _command),
    "commit_late": (2, lambda stream: (stream.choice((29.0, 31.0)), *_command(stream))),
    "commit_again": (5, lambda stream: (stream.random(),)),
    "commit_with_another_token": (1, lambda stream: (stream.getrandbits(32),)),
    "propose_again": (1, _command),
    "cut_in_commit": (4, _cut_short),
    "ask": (9, _question),
    "ask_in_the_open": (1, lambda stream: (stream.choice((StatusRequest(), Stop(), SelfTestRequest(0))),)),
    "stop": (2, _nothing),
    "lease": (4, lambda stream: (stream.choice((5_000, 600_000, 36_000_000)),)),
    "release": (2, _nothing),
    "hello": (2, _nothing),
    "pair": (1, lambda stream: (_KEY, stream.random() < 0.3)),
    "garbage": (2, lambda stream: (b"\0" + stream.randbytes(stream.randrange(40)) + b"\0",)),
    "wait": (18, lambda stream: (stream.choice(WAITS_S),)),
    "press": (5, lambda stream: (stream.choice((1, 1, 2, 6)), stream.choice((0.0, 40.0, 299.0, 900.0, 3600.0)))),
    "allow_patient": (3, _allowed),
    "cut_in_press": (1, lambda stream: (stream.randrange(200_000_000), stream.choice((0.3, 1.3)))),
    "reboot": (1, _nothing),
    "hang": (1, _nothing),
    "cut": (2, lambda stream: (stream.choice((0.2, 1.2, 4000.0)),)),
    "rot": (1, _bad_luck),
    "stall": (3, lambda stream: (stream.choice((30.0, 1500.0, 5000.0)), stream.random() < 0.7)),
    "slip": (1, lambda stream: (stream.choice((600_000, 1_000_000, 1_000_000, 1_400_000)),)),
    "magnet": (2, lambda stream: (stream.choice((5.0, 600.0, 4000.0)),)),
    "close_switch": (1, _nothing),
    "break_part": (1, lambda stream: (stream.choice(tuple(SelfTestItem)), stream.choice((30.0, 90_000.0)))),
    "refill": (2, _filling),
    "change_catheter": (2, lambda stream: (stream.choice(("kink", "leak", "shut", "off", "mend", "mend")),)),
}
_NAMES = tuple(name for name, (weight, _) in _STEPS.items() for _ in range(weight))


def walk_of(number: int, steps: int) -> tuple[Setting, tuple[Step, ...]]:
    """A setting and so many steps of a seed."""
    stream = random.Random(number)
    setting = setting_of(stream.getrandbits(32))
    return setting, tuple(step_of(stream.getrandbits(32)) for _ in range(steps))
