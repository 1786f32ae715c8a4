"""The command `thecabench campaign kill`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.exit_codes import EXIT_NOT_PASSED, EXIT_USAGE, exit_codes, fail, print_json

if TYPE_CHECKING:
    from bench.campaign.kill import KillTally

SHOWN = 10


@click.command("kill")
@click.option("--times", type=click.IntRange(min=1), default=1000, show_default=True, help="Kills.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Fixes doses, phases, instants.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def kill(times: int, seed: int, as_json: bool) -> None:
    """Kill real host processes with SIGKILL while they dose a mock served over a pty; each next one reconciles.

    What driver and journal say of each dose is held against what the rotor did. Exit 0: nothing was found; 1: something
    was, and the journals and the rotor's turnings are kept.
    """
    if not hasattr(os, "fork"):
        fail(EXIT_USAGE, "this system has no ptys and no SIGKILL; run it on Linux or macOS", as_json)
    from bench.campaign.kill import run_kills
    from bench.errors import SetupRefused

    tenth = max(1, times // 10)

    def progress(done: int) -> None:
        if not as_json and not done % tenth:
            click.echo(f"{done} kills", err=True)

    folder = Path(tempfile.mkdtemp(prefix="thecabench-kill-"))
    has_findings = False
    began_s = time.monotonic()
    try:
        with exit_codes(as_json, (SetupRefused,)):
            tally = run_kills(times, seed, folder, progress=progress)
        has_findings = bool(tally.findings)
    finally:
        if not has_findings:
            shutil.rmtree(folder, ignore_errors=True)
    _tell(tally, time.monotonic() - began_s, folder, as_json)
    sys.exit(EXIT_NOT_PASSED if tally.findings else 0)


def _tell(tally: KillTally, took_s: float, folder: Path, as_json: bool) -> None:
    from bench.campaign.kill import JUDGED
    from bench.campaign.kill_words import PHASE_TEXTS

    counts = {kind.value: tally.counts[kind.value] for kind in JUDGED}
    if as_json:
        print_json(
            kills=tally.kills.total(),
            by_phase={phase.name.lower(): tally.kills[phase] for phase in PHASE_TEXTS},
            while_turning=tally.while_turning,
            outlived=tally.outlived,
            doses=tally.doses,
            doses_moved=tally.doses_moved,
            said=dict(tally.said),
            failures=dict(tally.failures),
            counts=counts,
            findings=[
                {"steps": finding.dose, "kind": finding.kind.value, "sentence": finding.sentence}
                for finding in tally.findings
            ],
            took_s=took_s,
            kept=str(folder) if tally.findings else None,
        )
        return
    for phase, text in PHASE_TEXTS.items():
        click.echo(f"{tally.kills[phase]:8} killed {text}")
    click.echo(f"{tally.while_turning:8} of them while the rotor turned; {tally.outlived} more ended before their kill")
    click.echo(f"Last said: {', '.join(f'{times} {state}' for state, times in sorted(tally.said.items()))}")
    for sentence, times in tally.failures.most_common(SHOWN):
        click.echo(f"{times} x gave up: {sentence}")
    for finding in tally.findings[:SHOWN]:
        click.echo(f"{finding.kind.value}, dose of {finding.dose} steps: {finding.sentence}")
    for name, times in counts.items():
        click.echo(f"{times:8} {name}")
    if tally.findings:
        click.echo(f"Journals and turnings: {folder}")
    click.echo(
        f"{tally.kills.total()} kills, {tally.doses} doses asked for, {tally.doses_moved} moved, in {took_s:.0f} s"
    )
