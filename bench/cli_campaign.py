"""The command `thecabench campaign`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli_campaign_kill import kill
from bench.cli_campaign_sweep import sweep
from bench.exit_codes import EXIT_NOT_PASSED, EXIT_USAGE, exit_codes, fail, print_json

if TYPE_CHECKING:
    from bench.campaign.campaign import Selection, Tally
    from bench.campaign.trial import TrialOutcome

SHOWN_FINDINGS = 10


@click.group("campaign", invoke_without_command=True)
@click.option("--doses", type=click.IntRange(min=1), default=10_000, show_default=True, help="Faulted doses.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Fixes all that is random.")
@click.option("--faults", default=None, help="Kinds, comma-separated; all of them without it.")
@click.option("--alone", is_flag=True, help="Each fault alone only, not in pairs.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Processes.")
@click.option("--trial", type=click.IntRange(min=0), default=None, help="Replay this one trial and tell its story.")
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="With --trial: keep its plan in a file.")
@click.option("--replay", type=click.Path(path_type=Path, dir_okay=False), help="Run a trial from such a file.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_context
def campaign(
    context: click.Context,
    doses: int,
    seed: int,
    faults: str | None,
    alone: bool,
    workers: int,
    trial: int | None,
    save: Path | None,
    replay: Path | None,
    as_json: bool,
) -> None:
    """Dose a simulated pump under every fault, singly and in pairs, and hold what was said against the truth.

    The counts depend on seed, doses and faults alone, not on the number of workers. Exit 0: nothing was found; 1:
    something was, or a fault never acted; each finding comes with the command that replays it.
    """
    if context.invoked_subcommand is not None:
        return
    from concurrent.futures import ProcessPoolExecutor

    from bench.campaign.campaign import Selection, run_campaign
    from bench.campaign.plan import plan_as_json, plan_from_json
    from bench.campaign.trial import DEVICE_FAULTS, LINK_FAULTS, run_drawn, run_planned
    from bench.errors import SetupRefused
    from bench.toml_file import FileError

    known = LINK_FAULTS + DEVICE_FAULTS
    kinds = known if faults is None else tuple(dict.fromkeys(name.strip() for name in faults.split(",")))
    if unknown := [kind for kind in kinds if kind not in known]:
        fail(EXIT_USAGE, f"--faults: no fault is called {', '.join(unknown)}; there are {', '.join(known)}", as_json)
    selection = Selection(seed, kinds, not alone)
    if replay is not None or trial is not None:
        with exit_codes(as_json, (FileError, OSError)):
            if replay is not None:
                outcome = run_planned(plan_from_json(replay.read_bytes()))
            else:
                assert trial is not None
                outcome = run_drawn(selection.seed_of(trial), selection.kinds_of(trial))
            if save is not None:
                save.write_bytes(plan_as_json(outcome.plan))
        _tell_trial(outcome, as_json)
        sys.exit(EXIT_NOT_PASSED if outcome.findings else 0)
    began_s = time.monotonic()
    with exit_codes(as_json, (SetupRefused,)), ProcessPoolExecutor(workers) as executor:
        tally = run_campaign(executor, selection, doses, progress=None if as_json else _say_progress(doses))
    missing = tally.never_acted(selection)
    _tell_tally(tally, selection, missing, time.monotonic() - began_s, _replay_command(seed, faults, alone), as_json)
    sys.exit(EXIT_NOT_PASSED if tally.counts or missing else 0)


campaign.add_command(kill)
campaign.add_command(sweep)


def _replay_command(seed: int, faults: str | None, alone: bool) -> str:
    chosen = f" --faults {faults}" if faults is not None else ""
    return f"thecabench campaign --seed {seed}{chosen}{' --alone' if alone else ''} --trial"


def _say_progress(doses: int) -> Callable[[int], None]:
    tenth = max(1, doses // 10)
    said = 0

    def say(done: int) -> None:
        nonlocal said
        if done // tenth > said:
            said = done // tenth
            click.echo(f"{done} doses", err=True)

    return say


def _tell_tally(
    tally: Tally,
    selection: Selection,
    missing: tuple[tuple[str, ...], ...],
    took_s: float,
    replay: str,
    as_json: bool,
) -> None:
    from bench.campaign.scoring import FindingKind

    counts = {kind.value: tally.counts[kind.value] for kind in FindingKind}
    if as_json:
        print_json(
            doses=tally.doses,
            drawn_again=tally.idle.total(),
            trials=tally.trials,
            simulated_h=tally.simulated_h,
            took_s=took_s,
            counts=counts,
            said=dict(tally.said),
            slowest_recovery_s=tally.slowest_recovery_s,
            faulted={"+".join(kinds): tally.faulted[kinds] for kinds in selection.sets},
            idle={"+".join(kinds): times for kinds, times in sorted(tally.idle.items())},
            findings=[
                {"trial": trial, "dose": finding.dose, "kind": finding.kind.value, "sentence": finding.sentence}
                for trial, finding in tally.findings
            ],
            replay=replay,
        )
        return
    alone = [kinds for kinds in selection.sets if len(kinds) == 1]
    pairs = [kinds for kinds in selection.sets if len(kinds) == 2]
    for name, sets in (("alone", alone), ("in pairs", pairs)):
        if sets:
            seen = [tally.faulted[kinds] for kinds in sets]
            click.echo(
                f"Faults {name}: {sum(map(bool, seen))} of {len(sets)} acted, {min(seen)} to {max(seen)} doses each"
            )
    for kinds in missing:
        click.echo(f"Never acted: {' + '.join(kinds)}")
    click.echo(f"Last said: {', '.join(f'{times} {state}' for state, times in sorted(tally.said.items()))}")
    click.echo(f"Slowest recovery: {tally.slowest_recovery_s:.3f} s")
    for trial, finding in tally.findings[:SHOWN_FINDINGS]:
        click.echo(f"{finding.kind.value}, dose {finding.dose}: {finding.sentence}\n  {replay} {trial}")
    for name, times in counts.items():
        click.echo(f"{times:8} {name}")
    click.echo(
        f"{tally.doses} faulted doses ({tally.idle.total()} drawn again) in {tally.trials} trials, "
        f"{tally.simulated_h:.0f} simulated hours, in {took_s:.0f} s"
    )


def _tell_trial(outcome: TrialOutcome, as_json: bool) -> None:
    from msgspec.json import encode

    if as_json:
        click.echo(encode(outcome).decode())
        return
    plan = outcome.plan
    click.echo(f"Trial of seed {plan.seed}, {'with' if plan.basal else 'without'} basal rate")
    for number, story in enumerate(outcome.stories):
        dose = plan.doses[number]
        ends = (
            "waits" if dose.wait else "goes on" if dose.stop_after_s is None else f"stops {dose.stop_after_s:.3f} s on"
        )
        click.echo(
            f"Dose {number}: {dose.command}, {dose.steps} steps, host {ends}{', new process' if dose.fresh else ''}"
        )
        for fault, acted in zip(dose.faults, story.acted, strict=True):
            click.echo(f"  {fault}{'' if acted else '  DID NOT ACT'}")
        for claim in story.claims:
            click.echo(f"  said {claim.state} [{claim.low_ul:.10g}, {claim.high_ul:.10g}] µL {claim.said}")
        click.echo(f"  link back after {story.recovery_s:.3f} s")
    for finding in outcome.findings:
        click.echo(f"FOUND {finding.kind.value}, dose {finding.dose}: {finding.sentence}")
    click.echo(f"{len(outcome.findings)} findings")
