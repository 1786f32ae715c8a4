"""A walk: any sequence of requests, presses, faults and waits that a pump in a body may see, one step after the other.

No safety property may break in it, nothing vanish, and `seen` says what it came upon, so that a walk is no toy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from mutating.body import Body, Physics
from mutating.scene import STARTS_UTC_S, Scene
from protocol import (
    CommandResult,
    CommandResultRequest,
    CommandState,
    Commit,
    EventCode,
    EventRecord,
    Lease,
    LeaseRelease,
    LeaseRequest,
    Message,
    Mode,
    Nak,
    NakReason,
    Proposal,
    ProposeContinuous,
    ProposePatientBolusLimits,
    ProposeTherapyClock,
    ResetCause,
    SelfTestItem,
    Stop,
)

SAME_UL = 1e-6
_BOOTS_S = 0.5

Step: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """The pump that a walk begins with. `key`: paired; `clock_is_set`: so flex therapies are possible."""

    filled_ul: float
    key: bytes | None
    physics: Physics
    battery_used_pct: float
    served_s: float
    clock_is_set: bool


class Walk:
    """`take` carries out a step: the name of one of the public methods below it, and what that is to be given."""

    def __init__(self, setting: Setting) -> None:
        self.seen: Counter[str] = Counter()
        self.scene = scene = Scene(
            filled_ul=setting.filled_ul,
            key=setting.key,
            served_s=setting.served_s,
            battery_used_pct=setting.battery_used_pct,
            reservoir_pressure_hpa=setting.physics.reservoir_hpa,
            leak_ul_per_h_per_hpa=setting.physics.leak_ul_per_h_per_hpa,
            pressure_slope_per_hpa=setting.physics.slope_per_hpa,
        )
        self.body = Body(scene, setting.physics, setting.filled_ul)
        scene.firmware.on_event = self._logged
        scene.world.observers.append(self._look)
        self._rot = scene.world.stream("walk.rot")
        self._ids: list[int] = []
        self._commits: list[Commit] = []
        self._lease_id = 0
        self._made_ul = 0.0
        self._at_steps = 0
        self._step_nl = scene.profile.step_volume_nl
        self._flex_ps: int | None = None
        self.seen["keyed" if setting.key else "open"] += 1
        if setting.clock_is_set:
            self.do(ProposeTherapyClock, STARTS_UTC_S, 3600)

    def take(self, step: Step) -> None:
        """Carry it out, count what the rotor made meanwhile, and see whether the body's accounts balance."""
        name, *arguments = step
        getattr(self, name)(*arguments)
        self._count()
        self.body.look()

    def findings(self) -> tuple[str, ...]:
        """What is wrong now: properties that broke, volumes that do not add up."""
        scene = self.scene
        scene.sleep(2.0)
        self.body.look()
        wrong = [self.body.wrong] if self.body.wrong else []
        self._count()
        scene.hello()
        results = [scene.ask(CommandResultRequest(command_id)) for command_id in self._ids]
        told = [it for it in results if isinstance(it, CommandResult)]
        self.seen.update(f"ended {it.state.name}" for it in told if isinstance(it.state, CommandState))
        low_ul = sum(it.delivered_low_ul for it in told)
        high_ul = sum(it.delivered_high_ul for it in told)
        if low_ul > self._made_ul + SAME_UL:
            wrong.append(f"conservation: {low_ul:.6g} uL told at least, {self._made_ul:.6g} uL made")
        is_all_told = len(told) == len(self._ids) and not any(it.state == CommandState.FORGOTTEN for it in told)
        if is_all_told and high_ul < self._made_ul - SAME_UL:
            wrong.append(f"conservation: {high_ul:.6g} uL told at most, {self._made_ul:.6g} uL made")
        self.seen["ran dry"] += self.body.ran_dry
        return (*map(str, scene.monitors.finish()), *wrong)

    def do(self, kind: type[Message], *values: Any) -> None:
        """PROPOSE and COMMIT."""
        if (commit := self._propose(kind, *values)) is not None:
            self._commit(commit, kind)

    def wait_with(self, kind: type[Message], *values: Any) -> None:
        """PROPOSE, and COMMIT later or never."""
        self._propose(kind, *values)

    def commit_late(self, after_s: float, kind: type[Message], *values: Any) -> None:
        """PROPOSE, and COMMIT so much later."""
        commit = self._propose(kind, *values)
        self.scene.sleep(after_s)
        if commit is not None:
            self._commit(commit, kind)

    def commit_again(self, share: float) -> None:
        """A COMMIT that was sent, or not yet."""
        if self._commits:
            self._commit(self._commits[int(share * len(self._commits))])

    def commit_with_another_token(self, token: int) -> None:
        """A COMMIT of the newest proposal that nobody was given."""
        if self._commits:
            self._commit(Commit(self._commits[-1].command_id, token, self._commits[-1].digest))

    def propose_again(self, kind: type[Message], *values: Any) -> None:
        """PROPOSE under an id that was used."""
        self._hear(self.scene.ask(kind(max(1, self.scene.last_id), *values)))

    def cut_in_commit(self, into_ns: int, off_s: float, kind: type[Message], *values: Any) -> None:
        """Power goes so long after a COMMIT has come."""
        if (commit := self._propose(kind, *values)) is not None:
            self.scene.firmware.cut_power_at(self.scene.world.now_ns + into_ns, off_s)
            self._commit(commit, kind)
            self.seen["power lost in a write"] += not self.scene.firmware.inside.power.is_on
            self._come_back(off_s + _BOOTS_S)

    def ask(self, request: Message) -> None:
        """Any other request."""
        answer = self._hear(self.scene.ask(request))
        if answer is not None and not isinstance(answer, Nak):
            self.seen[f"answered {type(request).__name__}"] += 1

    def ask_in_the_open(self, request: Message) -> None:
        """A request that anybody could have sent."""
        self._hear(self.scene.ask_in_the_open(request))

    def stop(self) -> None:
        """STOP."""
        self.ask(Stop())

    def lease(self, duration_ms: int) -> None:
        """Take the control lease, or renew it."""
        answer = self._hear(self.scene.ask(LeaseRequest(self._lease_id, duration_ms, "walk")))
        if isinstance(answer, Lease):
            self._lease_id = answer.lease_id
        elif isinstance(answer, Nak) and answer.reason == NakReason.NO_LEASE:
            self._lease_id = 0

    def release(self) -> None:
        """Give it back."""
        self.ask(LeaseRelease(self._lease_id))
        self._lease_id = 0

    def hello(self) -> None:
        """Another session."""
        self.scene.hello()

    def pair(self, key: bytes, is_pressed: bool) -> None:
        """Give it a key, with the button inside its case pressed or not."""
        if is_pressed:
            self.scene.firmware.press_pairing_button()
        self._hear(self.scene.pair(key))

    def garbage(self, data: bytes) -> None:
        """Bytes that are no frame, or only look like one."""
        self.scene.ask_bytes(data)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.scene.sleep(seconds)

    def press(self, times: int, apart_s: float) -> None:
        """The patient's button."""
        for _ in range(times):
            self._press()
            self.scene.sleep(apart_s)

    def allow_patient(self, rate_ul_per_h: float, *limits: Any) -> None:
        """Limits of patient boluses, and a therapy that they may be on top of."""
        self.do(ProposePatientBolusLimits, 1, *limits)
        if self.scene.firmware.inside.therapy.mode is Mode.STOPPED:
            self.do(ProposeContinuous, rate_ul_per_h, 0)

    def cut_in_press(self, into_ns: int, off_s: float) -> None:
        """Power goes so long after the button was pressed."""
        self.scene.firmware.cut_power_at(self.scene.world.now_ns + into_ns, off_s)
        self._press()
        self._come_back(off_s + _BOOTS_S)

    def reboot(self) -> None:
        """A reset."""
        self.scene.happen(self.scene.firmware.reboot)
        self._come_back(1.5)

    def hang(self) -> None:
        """The main loop stops."""
        self.scene.happen(self.scene.firmware.hang)
        self._come_back(1.5)

    def cut(self, off_s: float) -> None:
        """Power goes: a brown-out, or longer."""
        self.scene.happen(partial(self.scene.firmware.cut_power, off_s))
        self._come_back(off_s + _BOOTS_S)

    def rot(self, bits: int, slots: int, off_s: float) -> None:
        """Power goes, and what is stored decays meanwhile."""
        firmware, stream = self.scene.firmware, self._rot
        self.scene.happen(partial(firmware.cut_power, off_s))
        firmware.rot(stream, bits=bits, slots=slots)
        self._come_back(off_s + _BOOTS_S)

    def stall(self, for_s: float, is_held: bool) -> None:
        """The rotor stands, as in a field where it is held; then it follows again."""
        self.scene.happen(partial(self.scene.head.stall, held=is_held))
        self.scene.sleep(for_s)
        self.scene.happen(self.scene.head.free)

    def slip(self, made_ppm: int) -> None:
        """The rotor makes fewer steps than it is driven to, or more, or as many."""
        self.scene.happen(partial(self.scene.head.slip, made_ppm))

    def magnet(self, for_s: float) -> None:
        """A magnet at the telemetry switch."""
        self.scene.happen(self.scene.firmware.upkeep.close_switch)
        self.scene.sleep(for_s)
        self.scene.happen(self.scene.firmware.upkeep.open_switch)

    def close_switch(self) -> None:
        """A magnet that stays."""
        self.scene.happen(self.scene.firmware.upkeep.close_switch)

    def break_part(self, item: SelfTestItem, for_s: float) -> None:
        """What the self-test looks at is broken for a time."""
        upkeep = self.scene.firmware.upkeep
        self.scene.happen(partial(upkeep.break_part, item))
        self.scene.sleep(for_s)
        self.scene.happen(partial(upkeep.mend_part, item))

    def refill(self, volume_ul: float, concentration_ug_per_ml: float, pocketed_share: float) -> None:
        """The reservoir is emptied and filled; the pump is told by another step, or never."""
        self.scene.happen(partial(self.body.refill, volume_ul, concentration_ug_per_ml, pocketed_share))
        self.seen["pocketed" if pocketed_share else "refilled whole"] += 1

    def change_catheter(self, what: str) -> None:
        """The catheter kinks, leaks, is shut, comes off, or is mended."""
        self.scene.happen(partial(self.body.change_catheter, what))
        self.seen[f"catheter {what}"] += 1

    def _propose(self, kind: type[Message], *values: Any) -> Commit | None:
        answer = self._hear(self.scene.propose(kind, *values))
        self._ids.append(self.scene.last_id)
        if not isinstance(answer, Proposal):
            return None
        self._commits.append(Commit(answer.command_id, answer.token, answer.digest))
        return self._commits[-1]

    def _commit(self, commit: Commit, kind: type[Message] | None = None) -> None:
        answer = self._hear(self.scene.ask(commit))
        if isinstance(answer, CommandResult) and kind is not None:
            self.seen[f"committed {kind.__name__}"] += 1

    def _hear(self, answer: Any) -> Any:
        if isinstance(answer, Nak) and isinstance(answer.reason, NakReason):
            self.seen[f"refused {answer.reason.name}"] += 1
        return answer

    def _press(self) -> None:
        scene = self.scene
        memory = scene.firmware.inside.nvram.memory
        scene.happen(scene.firmware.press_button)
        highest = scene.firmware.inside.nvram.memory.last_command_id
        self.seen["patient bolus by button"] += highest > memory.last_command_id
        self._ids += range(scene.last_id + 1, highest + 1)
        scene.last_id = max(scene.last_id, highest)

    def _come_back(self, after_s: float) -> None:
        """The host finds a pump that has lost its session."""
        self._count()
        self.scene.sleep(after_s)
        self.scene.hello()

    def _count(self) -> None:
        """Add what the rotor has made, at the step volume that it was made with."""
        steps = self.scene.head.counted_steps(self.scene.world.now_ns)
        nvram = self.scene.firmware.inside.nvram
        self._made_ul += (steps - self._at_steps) * self._step_nl * 1e-3
        self._at_steps = steps
        if not nvram.is_lost:
            self._step_nl = nvram.memory.step_volume_nl

    def _logged(self, event: EventRecord) -> None:
        code = event.code
        name = code.name if isinstance(code, EventCode) else str(code)
        self.seen[f"event {name}"] += 1
        if code == EventCode.BOOT:
            self.seen[f"boot {ResetCause(event.argument).name}"] += 1

    def _look(self) -> None:
        """A flex therapy that runs at another rate than after the event before."""
        inside = self.scene.firmware.inside
        period_ps = inside.motor.period_ps if inside.therapy.mode is Mode.FLEX else None
        if None not in (period_ps, self._flex_ps) and period_ps != self._flex_ps:
            self.seen["flex step"] += 1
        self._flex_ps = period_ps


def walked(setting: Setting, steps: Sequence[Step]) -> Walk:
    """A walk with all of its steps taken."""
    walk = Walk(setting)
    for step in steps:
        walk.take(step)
    return walk


def shortest(setting: Setting, steps: Sequence[Step]) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """As few of the steps as still break what all of them break first, and what those show; nothing where all holds."""
    steps, findings = tuple(steps), walked(setting, steps).findings()
    wanted = findings[0].split()[0] if findings else ""
    size = len(steps) // 2 if findings else 0
    while size:
        place = 0
        while place < len(steps):
            fewer = steps[:place] + steps[place + size :]
            found = walked(setting, fewer).findings()
            if any(finding.split()[0] == wanted for finding in found):
                steps, findings = fewer, found
            else:
                place += size
        size //= 2
    return (steps, findings) if findings else ((), ())
