"""Runs a procedure on a rig into a folder, and leaves the pump stopped and the data kept on every way out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from bench.errors import RecordingFailed
from bench.flow_calibration.plan import load_plan
from bench.flow_calibration.procedure import PROCEDURE, run_flow_calibration
from bench.flow_calibration.result import FlowCalibrationResult
from bench.gates import STOP_NOT_CONFIRMED, stop_pump
from bench.recording import Note
from bench.rig import open_rig
from bench.rigfile import load_rig_file
from bench.run_folder import RunFolder
from driver.errors import LeaseHeld
from driver.journal import Journal

NOT_REACHED = "not reached, nothing was commanded"
HELD_ELSEWHERE = "left to the host that holds its control lease; nothing of this run runs on it"
ENDING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that came to its end."""

    folder: Path
    result: FlowCalibrationResult


class RunFailed(Exception):
    """A run that ended early, for the reason chained as its cause; `folder` keeps what was recorded."""

    def __init__(self, folder: Path, pump_left: str) -> None:
        super().__init__(f"run ended early; pump: {pump_left}; recorded so far: {folder}")
        self.folder = folder
        self.pump_left = pump_left


def flow_calibration(
    rig_name: str | Path,
    plan_name: str | Path | None,
    runs: Path,
    *,
    seed: int | None = None,
    progress: Callable[[str, float, float], None] | None = None,
) -> Finished:
    """Run a flow calibration on a rig, into a new folder under `runs`.

    Raises:
        FileError: rig file or plan is wrong; no folder was made.
        RunFailed: what happened afterwards, chained as its cause; the pump is stopped, or reported unconfirmed.
    """
    rig_file, rig_text = load_rig_file(rig_name)
    plan, plan_text = load_plan(plan_name if plan_name is not None else rig_file.default_plan)
    folder = RunFolder(runs, PROCEDURE)
    pump_left = NOT_REACHED
    try:
        folder.write_configuration({"rig.toml": rig_text, "plan.toml": plan_text})
        # A simulated pump lives no longer than its mock, so its doses are the run's own.
        journal = Journal.in_directory(folder.path / "journal") if rig_file.is_simulated else None
        with _signals_as_interrupt(), open_rig(rig_name, seed=seed, journal=journal) as rig:
            pump_left = f"{STOP_NOT_CONFIRMED}: the run was torn off before its stop"
            try:
                result = run_flow_calibration(rig, plan, folder.record, progress)
            except LeaseHeld as error:
                # What this run started has ended with its lease; STOP would end what the holder has started since.
                pump_left = HELD_ELSEWHERE
                _note_end(folder, rig.clock.monotonic(), error)
                raise
            except BaseException as error:
                with interrupts_held():
                    pump_left = stop_pump(rig)
                    _note_end(folder, rig.clock.monotonic(), error)
                raise
            pump_left = result.pump_left
        folder.write_result(result)
        folder.finish("finished", verdict=result.verdict.value, pump_left=pump_left)
    except BaseException as error:
        with interrupts_held():
            _finish_early(folder, error, pump_left)
        raise RunFailed(folder.path, pump_left) from error
    return Finished(folder.path, result)


def _note_end(folder: RunFolder, time_s: float, error: BaseException) -> None:
    with suppress(RecordingFailed):
        folder.record.add(Note(time_s, "ended early", _reason(error)))


def _reason(error: BaseException) -> str:
    return "interrupted" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"


def _finish_early(folder: RunFolder, error: BaseException, pump_left: str) -> None:
    # The disk that ended the run may refuse this too; what was synced before stays.
    with suppress(OSError, RecordingFailed):
        folder.finish("ended early", reason=_reason(error), pump_left=pump_left)


@contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """An ended terminal or a polite kill is a Ctrl-C; a signal that is ignored, as under nohup, stays so."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in ENDING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """A second Ctrl-C does not interrupt the stop that the first one asked for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *ENDING_SIGNALS)}
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
