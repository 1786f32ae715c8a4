"""A run read back from its folder, whether it came to its end or not: all that its report is made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.flow_calibration.result import FlowCalibrationResult, RateResult
from bench.recording import FILE_NAME, Entry, Note, entries_of, read_recording
from bench.rigfile import RigFile
from bench.run_folder import RESULT, RUN
from bench.toml_file import FileError, parse

AS_FOUND_FILE = "as_found.json"
RIG_FILE = "rig.toml"
PLAN_FILE = "plan.toml"
FINISHED = "finished"

KindT = TypeVar("KindT")


class RunFacts(msgspec.Struct, frozen=True):
    """`run.json`: when and with what the run was made, and how it ended."""

    procedure: str
    started: str
    status: str
    versions: dict[str, str]
    ended: str | None = None
    wall_s: float | None = None
    reason: str | None = None
    pump_left: str | None = None


@dataclass(frozen=True, slots=True)
class KeptRun:
    """What a run's folder holds. Without `result` the run ended early; `as_found` may have been frozen before that.

    `sha256` is by file name; `doubts` are sentences about files that contradict each other.
    """

    facts: RunFacts
    file: RigFile | None
    entries: dict[type[Entry], list[Any]]
    result: FlowCalibrationResult | None
    as_found: tuple[RateResult, ...]
    sha256: dict[str, str]
    doubts: tuple[str, ...]

    @property
    def is_simulated(self) -> bool:
        """Whether the mock stood behind the rig, by the result or, without one, by the rig file."""
        if self.result is not None:
            return self.result.simulated
        return self.file is not None and self.file.is_simulated


def read_kept_run(folder: Path) -> KeptRun:
    """Read a run's folder.

    Raises:
        FileError: not the folder of a run, or a file in it is damaged; the message names it.
    """
    if not (folder / RUN).is_file():
        raise FileError(f"{folder}: there is no {RUN} in it; give the folder of one run")
    contents = {
        name: (folder / name).read_bytes()
        for name in (RESULT, AS_FOUND_FILE, FILE_NAME, RIG_FILE, PLAN_FILE)
        if (folder / name).is_file()
    }
    facts = _decode(folder / RUN, (folder / RUN).read_bytes(), RunFacts)
    result = _decode(folder / RESULT, contents[RESULT], FlowCalibrationResult) if RESULT in contents else None
    frozen: tuple[RateResult, ...] = ()
    if AS_FOUND_FILE in contents:
        frozen = _decode(folder / AS_FOUND_FILE, contents[AS_FOUND_FILE], tuple[RateResult, ...])
    try:
        entries = read_recording(folder / FILE_NAME) if FILE_NAME in contents else {}
    except ValueError as error:
        raise FileError(str(error)) from error
    return KeptRun(
        facts=facts,
        file=parse(RigFile, contents[RIG_FILE].decode(), str(folder / RIG_FILE)) if RIG_FILE in contents else None,
        entries=entries,
        result=result,
        as_found=result.as_found if result is not None else frozen,
        sha256={name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
        doubts=tuple(_doubts(facts, result, frozen, contents.get(AS_FOUND_FILE, b""), entries)),
    )


def _decode(path: Path, data: bytes, kind: type[KindT]) -> KindT:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise FileError(f"{path}: not as this bench writes it: {error}") from error


def _doubts(
    facts: RunFacts,
    result: FlowCalibrationResult | None,
    frozen: tuple[RateResult, ...],
    frozen_json: bytes,
    entries: dict[type[Entry], list[Any]],
) -> list[str]:
    doubts = []
    if result is not None and facts.status != FINISHED:
        why = f": {facts.reason}" if facts.reason else ""
        doubts.append(f"a result was written, but {RUN} gives the run's status as “{facts.status}”{why}")
    if result is not None and not entries:
        doubts.append(f"{FILE_NAME} is missing or empty, so nothing of the session can be shown")
    if result is not None and frozen and frozen != result.as_found:
        doubts.append(f"{AS_FOUND_FILE}, frozen before the adjustment, is not the as-found part of {RESULT}")
    if frozen and entries:
        digest = hashlib.sha256(frozen_json).hexdigest()
        if not any(digest in note.text for note in entries_of(entries, Note)):
            doubts.append(f"the recording does not name {AS_FOUND_FILE} by its SHA-256")
    return doubts
