"""What the patient's button may give: lockout, allotment, and every window of time, basal included."""

from __future__ import annotations

from bisect import bisect_left, insort

from firmware_mock.firmware.inside import Inside
from firmware_mock.firmware.memory import BolusLimits, Run
from firmware_mock.monitors.moment import Findings, Moment
from firmware_mock.world import NS_PER_S
from protocol import Mode

CLOCK_TOLERANCE = 2e-3
DAY_NS = 24 * 3600 * NS_PER_S
STEPS_LEFT = 2


class PatientBolus:
    """SP-01, SP-02: by the rotor's own steps, and a clock that is not the pump's.

    A window is judged from the start of a patient bolus until it leaves the window, or the host has something else
    delivered: what a clinician then asks for is not limited.
    """

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._starts_ns: list[int] = []
        self._path: list[tuple[int, float]] = [(begin.now_ns, 0.0)]
        self._judged: BolusLimits | None = None
        self._judged_id = 0
        self._judge_until_ns = 0
        self._kept_ns = 0

    def on_change(self, was: Moment, now: Moment) -> Findings:
        made_ul = _counted(was, now) * was.memory.step_volume_nl * 1e-3
        if self._kept_ns or now.memory.limits is not None:
            self._go_on(was, now, made_ul)
        if self._judged is not None and was.now_ns < (to_ns := min(now.now_ns, self._judge_until_ns)):
            yield from self._judge(self._judged, was.now_ns, to_ns, was.memory.step_volume_nl * 1e-3)
        limits, bolus = now.memory.limits, now.memory.bolus
        is_new = bolus is not None and bolus.mode is Mode.PATIENT_BOLUS and bolus not in was.runs
        if is_new and bolus is not None and bolus.command_id not in {run.command_id for run in was.runs}:
            yield from self._begins(now, limits, bolus)
        elif any(run.command_id > self._judged_id for run in now.runs):
            self._judged = None
        if self._judged is not None and self._judged != limits:
            self._judged = None

    def _begins(self, now: Moment, limits: BolusLimits | None, bolus: Run) -> Findings:
        earlier, self._starts_ns = self._starts_ns, [*self._starts_ns[-200:], now.now_ns]
        if limits is None or not limits.enabled:
            yield "SP-01", f"patient bolus {bolus.command_id} began, and they are off"
            return
        least_ns = round(limits.lockout_s * NS_PER_S * (1.0 - CLOCK_TOLERANCE))
        if earlier and now.now_ns - earlier[-1] < least_ns:
            after_s = (now.now_ns - earlier[-1]) / NS_PER_S
            yield "SP-01", f"patient bolus {bolus.command_id} began {after_s:.1f} s after the one before"
        of_today = [start_ns for start_ns in earlier if start_ns > now.now_ns - DAY_NS * (1.0 - CLOCK_TOLERANCE)]
        if len(of_today) >= limits.most_per_day:
            yield "SP-01", f"patient bolus {bolus.command_id} is number {len(of_today) + 1} of 24 h"
        assert bolus.steps is not None
        over_ns = bolus.steps * bolus.step_ticks * 1000
        self._judged, self._judged_id = limits, bolus.command_id
        self._judge_until_ns = now.now_ns + over_ns + limits.window_s * NS_PER_S

    def _go_on(self, was: Moment, now: Moment, made_ul: float) -> None:
        path = self._path
        if was.now_ns > path[-1][0]:
            path.append((was.now_ns, path[-1][1]))
        path.append((now.now_ns, path[-1][1] + made_ul))
        limits = now.memory.limits
        self._kept_ns = max(self._kept_ns, 2 * limits.window_s * NS_PER_S if limits is not None else 0)
        if len(path) > 64 and path[32][0] < now.now_ns - self._kept_ns:
            del path[:32]

    def _judge(self, limits: BolusLimits, from_ns: int, to_ns: int, step_ul: float) -> Findings:
        """The worst window that ends in a stretch begins or ends at a change of rate."""
        window_ns = limits.window_s * NS_PER_S
        ends_ns: list[int] = [to_ns]
        for at_ns, _ in self._path:
            for end_ns in (at_ns, at_ns + window_ns):
                if from_ns < end_ns <= to_ns:
                    insort(ends_ns, end_ns)
        worst_ul = max(self._made_by(end_ns) - self._made_by(end_ns - window_ns) for end_ns in ends_ns)
        if worst_ul > limits.window_limit_ul + STEPS_LEFT * step_ul:
            yield "SP-02", f"{worst_ul:.6g} uL in {limits.window_s} s; the limit is {limits.window_limit_ul:.6g}"

    def _made_by(self, at_ns: int) -> float:
        path = self._path
        place = bisect_left(path, (at_ns, 0.0))
        if place == 0:
            return path[0][1]
        if place == len(path):
            return path[-1][1]
        (from_ns, from_ul), (to_ns, to_ul) = path[place - 1], path[place]
        return from_ul + (to_ul - from_ul) * (at_ns - from_ns) / (to_ns - from_ns)


def _counted(was: Moment, now: Moment) -> int:
    """Steps since, no more of them than the timer asked for."""
    made = now.rotor_steps - was.rotor_steps
    if was.follows and not now.is_blurred:
        return made
    return min(made, (now.now_ns - was.now_ns) * 1000 // was.period_ps + 1) if was.period_ps else made
