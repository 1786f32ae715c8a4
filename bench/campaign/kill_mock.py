"""A mock served over a pty by a process of its own, and what its rotor did, as that process writes it down."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.campaign.claims import Truth
from bench.errors import SetupRefused

RIG = "sim"
BEGAN, ENDED = "began", "ended"
ENDS_WITHIN_S = 20.0
STARTS_WITHIN_S = 60.0


class _Line(msgspec.Struct, frozen=True):
    at_ns: int
    what: str
    planned: int | None
    made: int = 0


@dataclass(frozen=True, slots=True)
class Turning:
    """One stretch of the rotor: planned steps (None: as long as it is left to), those made, and the wall's ns."""

    planned: int | None
    made: int
    began_ns: int
    ended_ns: int


@contextmanager
def served_mock(folder: Path, speed: float, seed: int) -> Iterator[Path]:
    """Serve a pump at so many times real time; gives its pty. Its turnings stand in `turnings.jsonl` of the folder.

    Raises:
        SetupRefused: it could not be served.
    """
    command = [sys.executable, "-m", "firmware_mock", "serve", "--rig", RIG, "--speed", str(speed)]
    command += ["--seed", str(seed), "--tcp-base", "0", "--links", str(folder / "ports")]
    command += ["--turnings", str(turnings_file(folder))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(STARTS_WITHIN_S, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            if not any(line.startswith("Ctrl-C") for line in process.stdout):
                assert process.stderr is not None
                raise SetupRefused(f"the mock could not be served: {process.stderr.read().strip()}")
            watchdog.cancel()
            yield folder / "ports" / "pump"
            process.send_signal(signal.SIGINT)
            process.wait(ENDS_WITHIN_S)
        finally:
            watchdog.cancel()
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def turnings_file(folder: Path) -> Path:
    """Where a mock served in this folder writes what its rotor does."""
    return folder / "turnings.jsonl"


def turnings_in(data: bytes) -> tuple[Turning, ...]:
    """All stretches that have ended.

    Raises:
        ValueError: one began before the one before it had ended, or ended without a beginning.
    """
    turnings = []
    began: _Line | None = None
    for number, raw in enumerate(data.splitlines(), start=1):
        line = msgspec.json.decode(raw, type=_Line)
        if (line.what == BEGAN) != (began is None):
            raise ValueError(f"turnings, line {number}: {line.what} is out of place")
        if began is None:
            began = line
            continue
        turnings.append(Turning(began.planned, line.made, began.at_ns, line.at_ns))
        began = None
    return tuple(turnings)


def truth_of(turnings: tuple[Turning, ...], step_volume_ul: float) -> Truth:
    """What became of each number of steps."""
    starts: dict[int, list[int]] = defaultdict(list)
    for turning in turnings:
        if turning.planned is not None:
            starts[turning.planned].append(turning.made)
    return Truth({steps: tuple(made) for steps, made in starts.items()}, step_volume_ul)
