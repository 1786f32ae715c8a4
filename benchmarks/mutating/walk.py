"""Any sequence of requests, presses, faults and waits, drawn from a seed: no safety property may break, nothing vanish.

`explore` plays a seed; what breaks something is made as short as it can be, so that it can be read.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, nan
from typing import Any

from mutating.scene import STARTS_UTC_S, Scene
from protocol import (
    AcknowledgeAlarms,
    AlarmsRequest,
    CommandResult,
    CommandResultRequest,
    CommandState,
    Commit,
    Day,
    FlexStep,
    LeaseRequest,
    Proposal,
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
    SelfTestRequest,
    StatusRequest,
    Stop,
    TherapyRequest,
)

STEPS = 50
RATES = (2.0, 17.3, 100.0, 777.0, 1000.0)
VOLUMES = (0.01, 0.5, 5.0, 20.0)
ODD = (nan, inf, -1.0, 0.0, 1e-9, 1e9)
WAITS_S = (0.0, 0.3, 2.0, 31.0, 300.0, 3600.0, 9000.0, 90_000.0)
SAME_UL = 1e-6
_FILLED_UL = 20_000.0
_UNKNOWN = (CommandState.UNKNOWN, CommandState.FORGOTTEN)

Step = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Broken:
    """The steps that show it, and what they show."""

    steps: tuple[Step, ...]
    findings: tuple[str, ...]


def draw(seed: int, steps: int = STEPS) -> tuple[Step, ...]:
    """The steps of a seed."""
    stream = random.Random(seed)
    kinds = [kind for kind, (weight, _) in KINDS.items() for _ in range(weight)]
    return tuple((kind, KINDS[kind][1](stream)) for kind in stream.choices(kinds, k=steps))


def play(steps: Sequence[Step]) -> tuple[str, ...]:
    """What is wrong after them; nothing."""
    walk = _Walk()
    for kind, arguments in steps:
        getattr(walk, f"_{kind}")(*arguments)
        walk.count()
    return walk.findings()


def explore(seed: int, steps: int = STEPS) -> Broken | None:
    """The steps of a seed, as few as still break what they break; None where all holds."""
    drawn = draw(seed, steps)
    findings = play(drawn)
    return _shortest(drawn, findings) if findings else None


def _shortest(steps: tuple[Step, ...], findings: tuple[str, ...]) -> Broken:
    wanted = findings[0].split()[0]
    size = len(steps) // 2
    while size:
        place = 0
        while place < len(steps):
            fewer = steps[:place] + steps[place + size :]
            found = play(fewer)
            if any(finding.split()[0] == wanted for finding in found):
                steps, findings = fewer, found
            else:
                place += size
        size //= 2
    return Broken(steps, findings)


class _Walk:
    def __init__(self) -> None:
        self.scene = Scene(filled_ul=_FILLED_UL)
        self._ids: list[int] = []
        self._commits: list[Commit] = []
        self._made_ul = 0.0
        self._at_steps = 0
        self._wrong: list[str] = []

    def count(self) -> None:
        """Add what the rotor has made, at the step volume that it was made with."""
        steps = self.scene.head.counted_steps(self.scene.world.now_ns)
        nvram = self.scene.firmware.inside.nvram
        self._made_ul += (steps - self._at_steps) * nvram.memory.step_volume_nl * 1e-3
        self._at_steps = steps

    def findings(self) -> tuple[str, ...]:
        """Nothing is lost: what all commands say they gave is what the rotor made."""
        scene = self.scene
        scene.sleep(2.0)
        self.count()
        scene.hello()
        results = [scene.ask(CommandResultRequest(command_id)) for command_id in self._ids]
        told = [it for it in results if isinstance(it, CommandResult)]
        low_ul = sum(it.delivered_low_ul for it in told)
        high_ul = sum(it.delivered_high_ul for it in told)
        if low_ul > self._made_ul + SAME_UL:
            self._wrong.append(f"conservation: {low_ul:.6g} uL told at least, {self._made_ul:.6g} uL made")
        is_all_told = len(told) == len(self._ids) and not any(it.state in _UNKNOWN[1:] for it in told)
        if is_all_told and high_ul < self._made_ul - SAME_UL:
            self._wrong.append(f"conservation: {high_ul:.6g} uL told at most, {self._made_ul:.6g} uL made")
        return (*map(str, scene.monitors.finish()), *self._wrong)

    def _do(self, kind: Any, *values: Any) -> None:
        proposal = self.scene.propose(kind, *values)
        self._ids.append(self.scene.last_id)
        if isinstance(proposal, Proposal):
            self._commits.append(Commit(proposal.command_id, proposal.token, proposal.digest))
            self.scene.ask(self._commits[-1])

    def _waiting(self, kind: Any, *values: Any) -> None:
        proposal = self.scene.propose(kind, *values)
        self._ids.append(self.scene.last_id)
        if isinstance(proposal, Proposal):
            self._commits.append(Commit(proposal.command_id, proposal.token, proposal.digest))

    def _again(self, share: float) -> None:
        if self._commits:
            self.scene.ask(self._commits[int(share * len(self._commits))])

    def _cut_in_commit(self, into_ns: int, off_s: float, kind: Any, *values: Any) -> None:
        scene = self.scene
        proposal = scene.propose(kind, *values)
        self._ids.append(scene.last_id)
        if isinstance(proposal, Proposal):
            scene.firmware.cut_power_at(scene.world.now_ns + into_ns, off_s)
            scene.ask(Commit(proposal.command_id, proposal.token, proposal.digest))
            self.count()
            scene.sleep(off_s + 0.5)
            scene.hello()

    def _ask(self, request: Any) -> None:
        self.scene.ask(request)

    def _ask_stop(self) -> None:
        self.scene.ask(Stop())

    def _garbage(self, data: bytes) -> None:
        self.scene.ask_bytes(data)

    def _wait(self, seconds: float) -> None:
        self.scene.sleep(seconds)

    def _press(self) -> None:
        self.scene.happen(self.scene.firmware.press_button)
        highest = self.scene.firmware.inside.nvram.memory.last_command_id
        self._ids += range(self.scene.last_id + 1, highest + 1)
        self.scene.last_id = max(self.scene.last_id, highest)

    def _fault(self, name: str, *values: Any) -> None:
        firmware, head = self.scene.firmware, self.scene.head
        acts: dict[str, Callable[..., Any]] = {
            "reboot": firmware.reboot,
            "hang": firmware.hang,
            "cut": firmware.cut_power,
            "stall": partial(head.stall, held=True),
            "free": head.free,
            "slip": head.slip,
            "close": firmware.upkeep.close_switch,
            "open": firmware.upkeep.open_switch,
        }
        self.scene.happen(partial(acts[name], *values))
        if name in ("reboot", "hang", "cut"):
            self.count()
            self.scene.sleep(1.5)
            self.scene.hello()


def _command(stream: random.Random) -> tuple[Any, ...]:
    rate, volume = stream.choice(RATES), stream.choice(VOLUMES)
    if stream.random() < 0.1:
        rate = stream.choice(ODD)
    if stream.random() < 0.1:
        volume = stream.choice(ODD)
    limits = (volume, rate, stream.choice((300, 900)), stream.choice((1, 5)), stream.choice((1800, 7200)))
    choices: tuple[tuple[Any, ...], ...] = (
        (ProposeContinuous, rate, stream.choice((0, 0, 1))),
        (ProposeContinuous, rate, 0),
        (ProposeBolus, volume, rate),
        (ProposeBolus, volume, 0.0),
        (ProposePrime, volume, rate),
        (ProposeMinimumRate, 0.0, 0),
        (ProposeBridge, volume, rate, stream.choice(RATES), 0),
        (ProposeTrial, rate, stream.choice((10, 600, 50_000)), 0),
        (ProposePatientBolusLimits, 1, *limits, stream.choice((30.0, 300.0, 3000.0))),
        (ProposePatientBolus, 0.0, 0.0),
        (ProposeFlex, 0, _flex(stream)),
        (ProposeTherapyClock, STARTS_UTC_S + stream.randrange(-90_000, 90_000), stream.choice((0, 3600))),
        (ProposeRefill, stream.choice((0.0, 2_001.0, 20_000.0, nan))),
        (ProposeCalibration, stream.choice((8.0, 10.0, 12.0, nan, 13.0))),
    )
    return stream.choice(choices)


def _flex(stream: random.Random) -> tuple[FlexStep, ...]:
    starts = sorted(stream.sample(range(1440), stream.randrange(1, 5)))
    return tuple(FlexStep(Day(sum(Day)), start, stream.choice((0.0, *RATES))) for start in starts)


def _fault(stream: random.Random) -> tuple[Any, ...]:
    name = stream.choice(("reboot", "hang", "cut", "stall", "free", "free", "slip", "close", "open", "open"))
    if name == "cut":
        return name, stream.choice((0.2, 1.2))
    return (name, stream.choice((600_000, 1_000_000, 1_000_000, 1_400_000))) if name == "slip" else (name,)


def _question(stream: random.Random) -> tuple[Any, ...]:
    questions = (
        StatusRequest(),
        AlarmsRequest(),
        TherapyRequest(),
        SelfTestRequest(0),
        AcknowledgeAlarms(stream.getrandbits(14), stream.choice((0, 600))),
        LeaseRequest(0, stream.choice((5_000, 600_000)), "walk"),
    )
    return (stream.choice(questions),)


KINDS: dict[str, tuple[int, Callable[[random.Random], tuple[Any, ...]]]] = {
    "do": (7, _command),
    "waiting": (1, _command),
    "again": (2, lambda stream: (stream.random(),)),
    "cut_in_commit": (1, lambda stream: (stream.randrange(120_000_000), 0.3, *_command(stream))),
    "ask": (3, _question),
    "ask_stop": (1, lambda stream: ()),
    "garbage": (1, lambda stream: (b"\0" + stream.randbytes(stream.randrange(40)) + b"\0",)),
    "wait": (6, lambda stream: (stream.choice(WAITS_S),)),
    "press": (2, lambda stream: ()),
    "fault": (3, _fault),
}
