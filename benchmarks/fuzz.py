"""Fuzzes the protocol package under atheris, guided by coverage: no crash, no broken promise, no growth of memory.

`python benchmarks/fuzz.py --executions 10000000` splits the executions over the targets of benchmarks/fuzzing/, runs
each in a process of its own, prints a Markdown table and ends with status 1 if a target failed. Logs, and the inputs
that failed, are in `--out`; `--input FILE --target NAME` runs one of them again.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MOST_GROWTH_BYTES = 1 << 20
WARM_UP_SHARE = 0.1
LONGEST_INPUT_BYTES = 256
HANG_S = 60
NOT_INSTRUMENTED = ["protocol.batch"]  # atheris 3.0 leaks what an instrumented comparison gives; here those are arrays


@dataclass(frozen=True, slots=True)
class Measured:
    """What a target's process found out; growth is from the end of the warm-up to the last execution.

    `growth_bytes` are Python's own: with `--tracemalloc` of all objects, else of those up to 512 bytes, which the
    interpreter counts anyway. `rss_growth_bytes` is of the whole process, the fuzzer and its collected inputs included.
    """

    executions: int
    seconds: float
    growth_bytes: int
    rss_growth_bytes: int


def main() -> int:
    """Run a campaign, one target's part of it, or one input."""
    options = _options()
    sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
    if options.input is not None:
        from fuzzing.targets import TARGETS

        TARGETS[options.target[0]].run(options.input.read_bytes())
        return 0
    if options.result is not None:
        _fuzz(options.target[0], options)
    return _campaign(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=10_000_000, help="in all")
    parser.add_argument("--target", action="append", help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=1, help="1 or more")
    parser.add_argument("--processes", type=int, default=1, help="targets that run at a time")
    parser.add_argument("--tracemalloc", action="store_true", help="count objects of all sizes; five times slower")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "fuzz", help="folder of logs and failed inputs")
    parser.add_argument("--input", type=Path, help="run the one target on this file, without atheris")
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.executions < 100 or options.seed < 1 or options.processes < 1:
        parser.error("--executions must be at least 100, --seed and --processes at least 1")
    if (options.input or options.result) and len(options.target or ()) != 1:
        parser.error("this needs exactly one --target")
    return options


def _campaign(options: argparse.Namespace) -> int:
    from fuzzing.targets import TARGETS

    names = options.target or list(TARGETS)
    unknown = sorted(set(names) - set(TARGETS))
    if unknown:
        sys.exit(f"fuzz.py: target {unknown[0]!r} is unknown; known: {', '.join(TARGETS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    shares = sum(TARGETS[name].share for name in names)
    parts = {name: -(-options.executions * TARGETS[name].share // shares) for name in names}
    began = time.monotonic()
    with ThreadPoolExecutor(options.processes) as pool:
        results = pool.map(lambda name: _in_a_process(name, parts[name], options), names)
        print("| Target | Executions | Failures | Memory growth, KiB | RSS growth with the fuzzer, KiB | µs each |\n"
              "|---|---:|---:|---:|---:|---:|", flush=True)  # fmt: skip
        failures = done = 0
        for name, result in zip(names, results, strict=True):
            if result is None:
                failures += 1
                print(f"| {name} | stopped | 1, see {options.out / name}.log | | | |", flush=True)
                continue
            done += result.executions
            failures += result.growth_bytes > MOST_GROWTH_BYTES
            print(f"| {name} | {result.executions:,} | 0 | {result.growth_bytes / 1024:,.0f} "
                  f"| {result.rss_growth_bytes / 1024:,.0f} "
                  f"| {1e6 * result.seconds / result.executions:,.0f} |", flush=True)  # fmt: skip
    print(f"\n{done:,} executions, seed {options.seed}, {failures} failed targets, {time.monotonic() - began:,.0f} s.")
    return 1 if failures else 0


def _in_a_process(name: str, executions: int, options: argparse.Namespace) -> Measured | None:
    """Run one target's part in a new process; None if it stopped before its end."""
    result = options.out / f"{name}.json"
    result.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--target", name, "--executions", str(executions), "--seed", str(options.seed),
               "--out", str(options.out), "--result", str(result)]  # fmt: skip
    if options.tracemalloc:
        command.append("--tracemalloc")
    with (options.out / f"{name}.log").open("wb") as log:
        status = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if status != 0 or not result.exists():
        return None
    return Measured(**json.loads(result.read_text(encoding="utf-8")))


def _fuzz(name: str, options: argparse.Namespace) -> None:
    """Fuzz one target to the end of its executions, write what was measured, and leave the process."""
    try:
        import atheris
    except ImportError:
        sys.exit("fuzz.py: atheris is not installed; pip install 'thecabench[fuzz]'")
    with atheris.instrument_imports(include=["protocol"], exclude=NOT_INSTRUMENTED):
        import protocol.batch
        import protocol.bulk  # noqa: F401
    from fuzzing.targets import TARGETS

    run_counted = _Counted(TARGETS[name].run, options)
    flags = [f"-runs={options.executions}", f"-seed={options.seed}", f"-max_len={LONGEST_INPUT_BYTES}",
             f"-timeout={HANG_S}", f"-artifact_prefix={options.out / name}-", "-print_final_stats=1"]  # fmt: skip
    atheris.Setup([sys.argv[0], *flags], run_counted)
    atheris.Fuzz()


class _Counted:
    """Runs a target, measures memory behind the warm-up, and writes the result with the last execution."""

    def __init__(self, run: Any, options: argparse.Namespace) -> None:
        self._run = run
        self._executions = options.executions
        self._warm_up = int(options.executions * WARM_UP_SHARE)
        self._result = options.result
        self._done = 0
        self._at_start = (0, 0)
        self._began = time.monotonic()
        if options.tracemalloc:
            tracemalloc.start()

    def __call__(self, data: bytes) -> None:
        self._run(data)
        self._done += 1
        if self._done == self._warm_up:
            self._at_start = _memory_bytes()
        if self._done == self._executions:
            own_bytes, rss_bytes = (now - then for now, then in zip(_memory_bytes(), self._at_start, strict=True))
            measured = Measured(self._done, time.monotonic() - self._began, own_bytes, rss_bytes)
            self._result.write_text(json.dumps(asdict(measured)), encoding="utf-8")


def _memory_bytes() -> tuple[int, int]:
    """Python's own memory, and the resident memory of the process."""
    gc.collect()
    own_bytes = tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else _small_object_bytes()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return own_bytes, int(pages) * resource.getpagesize()


def _small_object_bytes() -> int:
    """The bytes in use of pymalloc, which has all objects up to 512 bytes; the interpreter prints them to stderr."""
    with tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        file.seek(0)
        printed = file.read().decode("ascii")
    found = re.search(r"bytes in allocated blocks\s*=\s*([\d,]+)", printed)
    if found is None:
        sys.exit("fuzz.py: this interpreter does not say how much memory its objects take; use --tracemalloc")
    return int(found[1].replace(",", ""))


if __name__ == "__main__":
    sys.exit(main())
