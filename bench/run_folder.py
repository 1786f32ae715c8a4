"""The folder of a run: configuration, recording, events, result and report, complete in itself.

`result.json` is the same to the byte for a seed; times, paths and versions stand in `run.json`.
"""

from __future__ import annotations

import datetime
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from bench.recording import Recorder

RESULT = "result.json"
RUN = "run.json"
REPORT = "report.html"


class RunFolder:
    """A new folder under `parent`, named by time and procedure."""

    def __init__(self, parent: Path, procedure: str) -> None:
        self.started = datetime.datetime.now(tz=datetime.UTC)
        self.path = _new_folder(parent, f"{self.started:%Y-%m-%dT%H-%M-%SZ}_{procedure}")
        self.record = Recorder(self.path)
        self._run: dict[str, Any] = {
            "procedure": procedure,
            "started": self.started.isoformat(timespec="seconds"),
            "status": "running",
            "versions": {
                "thecabench": metadata.version("thecabench"),
                "python": platform.python_version(),
                "platform": platform.platform(),
            },
        }
        self._write_run()

    def write_configuration(self, files: dict[str, str]) -> None:
        """Keep the texts of rig, plan and model files as they were used."""
        for name, text in files.items():
            write_synced(self.path / name, text.encode())

    def write_result(self, result: Any) -> None:
        """Write `result.json`."""
        write_synced(self.path / RESULT, msgspec.json.format(msgspec.json.encode(result), indent=1))

    def finish(self, status: str, **facts: Any) -> None:
        """Complete the recording and say in `run.json` how the run ended."""
        try:
            self.record.close()
        finally:
            ended = datetime.datetime.now(tz=datetime.UTC)
            self._run |= {
                "status": status,
                "ended": ended.isoformat(timespec="seconds"),
                "wall_s": round((ended - self.started).total_seconds(), 1),
                **facts,
            }
            self._write_run()

    def _write_run(self) -> None:
        write_synced(self.path / RUN, msgspec.json.format(msgspec.json.encode(self._run), indent=1))


def write_synced(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: beside it first, synced, then renamed into place."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _new_folder(parent: Path, name: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        path = parent / f"{name}{suffix}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{parent / name}: a thousand runs of that name exist")
