"""The command `thecabench campaign sweep`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from bench.exit_codes import EXIT_NOT_PASSED, EXIT_USAGE, exit_codes, fail, print_json

if TYPE_CHECKING:
    from bench.campaign.sweep import SweepTally
    from bench.campaign.sweep_trial import SweptRun

SHOWN_FINDINGS = 10


@click.command("sweep")
@click.option("--command", "named", multiple=True, help="A dosing command, several times if need be; all without it.")
@click.option("--part", "parts", multiple=True, help="host, pump, pairs or stop; all of them without it.")
@click.option("--every", type=click.IntRange(min=1), default=1, show_default=True, help="One point in so many.")
@click.option("--pairs", type=click.IntRange(min=0), default=500, show_default=True, help="Pairs for each command.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Fixes what is sampled.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Processes.")
@click.option("--at", default=None, help="With one --command: this one point again, told.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def sweep(
    named: tuple[str, ...],
    parts: tuple[str, ...],
    every: int,
    pairs: int,
    seed: int,
    workers: int,
    at: str | None,
    as_json: bool,
) -> None:
    """Kill the host, and cut the pump's power or reset it, at every yield point of every dosing command.

    And have STOP get through with all that may be in its way. Exit 0: nothing was found; 1: something was, or a point
    was never reached; each finding comes with the command that replays it.
    """
    from concurrent.futures import ProcessPoolExecutor

    from bench.campaign.sweep import Part, Selection, any_command, run_sweep
    from bench.campaign.sweep_commands import commands
    from bench.campaign.sweep_points import point_from
    from bench.campaign.sweep_stop import stop_commands
    from bench.campaign.sweep_trial import run_point
    from bench.errors import SetupRefused

    known = (*commands(), *(stop_commands() if at is not None else ()))
    if wrong := [name for name in named if name not in known]:
        fail(EXIT_USAGE, f"--command: none is called {', '.join(wrong)}; there are {', '.join(known)}", as_json)
    if wrong := [name for name in parts if name not in tuple(Part)]:
        fail(EXIT_USAGE, f"--part: none is called {', '.join(wrong)}; there are {', '.join(Part)}", as_json)
    if at is not None:
        if len(named) != 1:
            fail(EXIT_USAGE, "--at needs one --command, the one whose point it is", as_json)
        with exit_codes(as_json, (SetupRefused,)):
            run = run_point(any_command(named[0]), point_from(at))
        _tell_run(run, as_json)
        sys.exit(EXIT_NOT_PASSED if run.findings or not run.has_struck else 0)
    selection = Selection(
        named or tuple(commands()), tuple(Part(part) for part in parts) or tuple(Part), every, pairs, seed
    )
    began_s = time.monotonic()
    with exit_codes(as_json), ProcessPoolExecutor(workers) as executor:
        tally = run_sweep(executor, selection, progress=None if as_json else _say_progress())
    _tell_tally(tally, time.monotonic() - began_s, as_json)
    sys.exit(EXIT_NOT_PASSED if tally.counts or tally.missed else 0)


def _replay(command: str, point: str) -> str:
    return f"thecabench campaign sweep --command {command} --at {point}"


def _say_progress() -> Callable[[int, int], None]:
    said = 0

    def say(done: int, of: int) -> None:
        nonlocal said
        if 10 * done // of > said:
            said = 10 * done // of
            click.echo(f"{done} of {of} tasks", err=True)

    return say


def _tell_tally(tally: SweepTally, took_s: float, as_json: bool) -> None:
    from bench.campaign.scoring import FindingKind

    points = {
        name: {kind: [tally.struck_of(name, kind), tally.there[name, kind]] for of, kind in tally.there if of == name}
        for name in dict.fromkeys(name for name, _ in tally.there)
    }
    counts = {kind.value: tally.counts[kind.value] for kind in FindingKind}
    if as_json:
        print_json(
            points=points,
            runs={f"{name} {part}": times for (name, part), times in tally.runs.items()},
            counts=counts,
            pairs_struck=tally.pairs_struck,
            missed=[_replay(name, point) for name, point in tally.missed],
            said=dict(tally.said),
            findings=[
                {"kind": finding.kind.value, "sentence": finding.sentence, "replay": _replay(name, point)}
                for name, point, finding in tally.findings
            ],
            simulated_h=tally.simulated_h,
            took_s=took_s,
        )
        return
    for name, kinds in points.items():
        struck, there = (sum(counted) for counted in zip(*kinds.values(), strict=True))
        listed = ", ".join(f"{kind} {hit}/{of}" for kind, (hit, of) in kinds.items())
        click.echo(f"{name}: {struck} of {there} yield points struck ({listed})")
    for part in dict.fromkeys(part for _, part in tally.runs):
        click.echo(f"{sum(times for (_, of), times in tally.runs.items() if of == part):8} runs of {part}")
    click.echo(f"{tally.pairs_struck:8} pairs in which both were struck")
    for name, point in tally.missed[:SHOWN_FINDINGS]:
        click.echo(f"Never reached: {_replay(name, point)}")
    for name, point, finding in tally.findings[:SHOWN_FINDINGS]:
        click.echo(f"{finding.kind.value}: {finding.sentence}\n  {_replay(name, point)}")
    for kind, times in counts.items():
        click.echo(f"{times:8} {kind}")
    click.echo(f"{len(tally.missed)} points never reached; {tally.simulated_h:.0f} simulated hours, in {took_s:.0f} s")


def _tell_run(run: SweptRun, as_json: bool) -> None:
    from msgspec.json import encode

    if as_json:
        click.echo(encode(run).decode())
        return
    for nth, call in enumerate(run.undisturbed.calls):
        click.echo(f"  call {nth}: {call.name}")
    for claim in run.claims:
        click.echo(f"said {claim.state} [{claim.low_ul:.10g}, {claim.high_ul:.10g}] µL {claim.said}")
    for finding in run.findings:
        click.echo(f"FOUND {finding.kind.value}: {finding.sentence}")
    click.echo(f"{len(run.findings)} findings{'' if run.has_struck else '; the point was NEVER REACHED'}")
