"""Taking the data of a flow calibration: the pump commanded, the balance, the air and the telemetry read.

Nothing is computed here but what steers the run; every reading goes to the record and to `Data` alike.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.errors import RunAborted
from bench.flow_calibration.plan import FlowCalibrationPlan, RunPlan
from bench.recording import Air, Entry, Note, PumpEvent, PumpSample, Reading, Record, Segment, entries_of
from bench.rig import Rig
from driver import Continuous
from driver.errors import BalanceNotReady
from driver.instruments import Reading as BalanceReading
from protocol import EventCode, Mode, OnLeaseLoss, Status

PHASE_REVOLUTION_S = 60.0
AIR_EVERY_S = 300.0
TELEMETRY_A_WINDOW = 40
TELEMETRY_EVERY_S = (2.0, 600.0)
NOT_READY_RETRY_S = 1.0
STALE_INTERVALS = 3.0
STEP_TOLERANCE = 0.005
STEP_SLACK = 2
NOT_READY_ATTEMPTS = 30
RESTARTED = "the pump restarted in the session; what it delivered since cannot be told"

Progress = Callable[[str, float], None]


@dataclass
class Data:
    """All that was seen, in order of time; the analysis needs nothing else."""

    readings: list[Reading] = field(default_factory=list)
    air: list[Air] = field(default_factory=list)
    pump: list[PumpSample] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)

    @classmethod
    def from_recording(cls, entries: Mapping[type[Entry], list[Any]]) -> Data:
        """The data of a run from what `read_recording` gives."""
        return cls(
            entries_of(entries, Reading),
            entries_of(entries, Air),
            entries_of(entries, PumpSample),
            entries_of(entries, Segment),
        )

    def up_to(self, stage: str) -> Data:
        """What was seen up to the end of a stage: it stays the same however the session went on.

        Raises:
            ValueError: the stage was not measured.
        """
        ends_s = [segment.end_s for segment in self.segments if segment.stage == stage]
        if not ends_s:
            raise ValueError(f"nothing was measured {stage}")
        end_s = max(ends_s)
        return Data(
            [reading for reading in self.readings if reading.time_s < end_s],
            [air for air in self.air if air.time_s < end_s],
            [sample for sample in self.pump if sample.time_s < end_s],
            [segment for segment in self.segments if segment.end_s <= end_s],
        )


class Acquisition:
    """One session on a rig. `progress` is told what goes on and how many process seconds have been worked off.

    What it starts does `on_lease_loss` when the control lease is lost.
    """

    def __init__(
        self, rig: Rig, plan: FlowCalibrationPlan, record: Record, progress: Progress, on_lease_loss: OnLeaseLoss
    ) -> None:
        self.data = Data()
        self._on_lease_loss = on_lease_loss
        self._rig = rig
        self._record = record
        self._progress = progress
        self._settling_s = plan.settling.time_constants * rig.file.tubing.time_constant_s
        self._zero_readings = plan.zero.readings
        self._window = plan.window
        self._air_due_s = self.now_s
        self._telemetry_s = 0.0
        self._lost = 0
        rig.pump.service()
        rig.pump.telemetry()  # what the pump sent before the session, such as its own start, is not of the session

    @property
    def now_s(self) -> float:
        return self._rig.clock.monotonic()

    @property
    def lost_telemetry(self) -> int:
        """Telemetry messages that the sequence numbers say were lost, or that a queue dropped."""
        return self._lost

    def note(self, kind: str, text: str) -> None:
        """Write a note to the record and show it as progress."""
        self._record.add(Note(self.now_s, kind, text))
        self._progress(text, self.now_s)

    def wait(self, seconds: float) -> None:
        """Let process time pass and take in what the pump sent."""
        self._wait_until(self.now_s + seconds)

    def weigh(self, readings: int = 5) -> float:
        """Mean of some stable readings in mg: for the check weight."""
        masses = []
        for _ in range(readings):
            masses.append(self._weigh(self._rig.balance.stable).mass_mg)
            self.wait(1.0)
        return math.fsum(masses) / readings

    def zero_segment(self, stage: str, length_s: float, rate_ul_per_h: float, repeat: int) -> None:
        """Watch the balance with pump stopped and outlet closed; the line has settled before."""
        self.note("zero", f"{stage}: zero segment of {length_s / 60:.0f} min")
        self._sample(stage, "zero", length_s, self._zero_readings, rate_ul_per_h, repeat)

    def flow_run(self, stage: str, run: RunPlan, repeat: int, rng: random.Random) -> None:
        """One run at one rate: outlet opened, a random rotor phase taken, settled, watched, stopped, outlet closed."""
        rate = run.rate_ul_per_h
        self.note("flow", f"{stage}: {rate * 0.024:g} mL/day, repeat {repeat + 1}, {run.flow_s / 3600:.2f} h")
        self._rig.operator.set_stopcock(open=True)
        phase_rate = max(rate, rate * run.revolution_s / PHASE_REVOLUTION_S)
        phase_rate = min(phase_rate, self._rig.model.rate_max_ul_per_h)
        self._rig.pump.start(Continuous(phase_rate, self._on_lease_loss))
        self.wait(rng.random() * run.revolution_s * rate / phase_rate)
        if phase_rate != rate:
            self._rig.pump.start(Continuous(rate, self._on_lease_loss))
        self._subscribe(run.flow_s)
        self.wait(self._settling_s)
        window_start = len(self.data.pump)
        self._sample(stage, "first end", run.end_s, self._window.end_readings, rate, repeat)
        between_s = run.window_s - run.end_s
        if between_s > 0 and self._window.between_readings:
            self._sample(stage, "between", between_s, self._window.between_readings, rate, repeat)
        self._sample(stage, "last end", run.end_s, self._window.end_readings, rate, repeat)
        self._check_steps(run, window_start)
        self._rig.pump.stop()
        self._subscribe(0.0)
        self.wait(self._settling_s)
        self._rig.operator.set_stopcock(open=False)
        self.wait(self._settling_s)

    def _sample(self, stage: str, kind: str, length_s: float, readings: int, rate_ul_per_h: float, repeat: int) -> None:
        start_s = self.now_s
        for index in range(readings):
            self._wait_until(start_s + length_s * (index + 0.5) / readings)
            self._weigh(self._rig.balance.read)
            if rate_ul_per_h and kind != "zero":
                self._check_running()
        self._wait_until(start_s + length_s)
        segment = Segment(self.now_s, stage, kind, rate_ul_per_h, repeat, start_s, start_s + length_s)
        self._add(segment)

    def _wait_until(self, until_s: float) -> None:
        while self._rig.remaining_s(until_s):
            self._rig.wait(min(until_s, self._air_due_s))
            self._take_telemetry()
            if not self._rig.remaining_s(self._air_due_s):
                self._read_air()

    def _weigh(self, weigh: Callable[[], BalanceReading]) -> Reading:
        for _ in range(NOT_READY_ATTEMPTS):
            try:
                seen = weigh()
            except BalanceNotReady:
                self._rig.wait(self.now_s + NOT_READY_RETRY_S)
                continue
            reading = Reading(seen.time_s, seen.half_width_s, seen.mass_mg, seen.stable)
            self._add(reading)
            return reading
        raise RunAborted(
            f"the balance has not been ready in {NOT_READY_ATTEMPTS} attempts; "
            "is it adjusting itself, in a menu, or on a table that shakes?"
        )

    def _read_air(self) -> None:
        reading = self._rig.environment.read()
        self._air_due_s = self.now_s + AIR_EVERY_S
        self._add(Air(reading.time_s, reading.temperature_c, reading.humidity_pct, reading.pressure_hpa))

    def _subscribe(self, flow_s: float) -> None:
        least_s, most_s = TELEMETRY_EVERY_S
        self._telemetry_s = min(max(flow_s / TELEMETRY_A_WINDOW, least_s), most_s) if flow_s else 0.0
        self._rig.pump.subscribe(self._telemetry_s or None)

    def _take_telemetry(self) -> None:
        batch = self._rig.pump.telemetry()
        for sample in batch.samples:
            self._add(
                PumpSample(
                    self.now_s, sample.sequence, sample.device_time_us, sample.mode, sample.steps,
                    sample.rate_ul_per_h, sample.head_temperature_c, sample.battery_mv, sample.alarms,
                )
            )  # fmt: skip
        for event in batch.events:
            self._add(PumpEvent(self.now_s, event.sequence, event.device_time_us, event.code, event.argument))
            if event.code == EventCode.BOOT:
                raise RunAborted(RESTARTED)
        self._lost += batch.lost + batch.overflowed + batch.dropped

    def _check_running(self) -> None:
        latest = self.data.pump[-1] if self.data.pump else None
        stale = latest is None or self.now_s - latest.time_s > STALE_INTERVALS * self._telemetry_s
        seen = self._asked() if latest is None or stale else latest
        if seen.alarms:
            raise RunAborted(f"the pump raised an alarm in the run: alarm bits 0x{seen.alarms:02x}")
        if seen.mode != Mode.CONTINUOUS:
            raise RunAborted("the pump stopped infusing in the run, without being told to")
        if stale:
            self._rig.pump.subscribe(self._telemetry_s)

    def _asked(self) -> Status:
        """What the pump says; the event BOOT, in the open, is not believed of a pump with a key."""
        status = self._rig.pump.status()
        if status.boot_id != self._rig.pump.identity.boot_id:
            raise RunAborted(RESTARTED)
        return status

    def _check_steps(self, run: RunPlan, window_start: int) -> None:
        """The motor must have turned as the rate says, by the pump's own count and clock."""
        samples = self.data.pump[window_start:]
        if len(samples) < 2:
            raise RunAborted("hardly any telemetry came in the window, so its steps and head temperature are not known")
        first, last = samples[0], samples[-1]
        elapsed_s = (last.device_time_us - first.device_time_us) / 1e6
        planned = elapsed_s / run.revolution_s * self._rig.model.steps_per_revolution
        counted = last.steps - first.steps
        tolerated = STEP_SLACK + STEP_TOLERANCE * planned
        if not -tolerated <= counted - planned <= tolerated:
            raise RunAborted(
                f"the pump counted {counted} steps in the window where {run.rate_ul_per_h * 0.024:g} mL/day takes "
                f"{planned:.0f}; did the motor stall, or the therapy change?"
            )

    def _add(self, entry: Entry) -> None:
        self._record.add(entry)
        match entry:
            case Reading():
                self.data.readings.append(entry)
            case Air():
                self.data.air.append(entry)
            case PumpSample():
                self.data.pump.append(entry)
            case Segment():
                self.data.segments.append(entry)


def planned_s(plan: FlowCalibrationPlan, runs: Sequence[RunPlan], settling_s: float) -> float:
    """Process seconds that a stage of one run of each plan given takes, zero segments and settling included."""
    phase_s = PHASE_REVOLUTION_S / 2.0
    return math.fsum(run.flow_s + run.zero_s + 3.0 * settling_s + phase_s for run in runs)
