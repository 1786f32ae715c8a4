"""The command line: `thecabench`."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import click

from bench.cli_campaign import campaign
from bench.cli_doses import doses
from bench.cli_keys import keys, pair
from bench.cli_protocol import protocol
from bench.cli_simulate import simulate
from bench.cli_stop import stop
from bench.cli_wire import wire
from bench.exit_codes import EXIT_DEVICE, EXIT_INTERRUPTED, EXIT_NOT_PASSED, EXIT_USAGE, exit_codes, print_json, tell

if TYPE_CHECKING:
    from bench.flow_calibration.result import FlowCalibrationResult

BENCH_ONLY = "A bench tool for verification and calibration on a rig. It is not for clinical use."


@click.group(help=f"Driver and test bench for programmable infusion pumps.\n\n{BENCH_ONLY}")
@click.version_option(package_name="thecabench")
def cli() -> None:
    pass


@cli.group(help="Run a procedure on a rig.")
def run() -> None:
    pass


@run.command("flow-calibration", help=f"Gravimetric flow calibration: as found, factor, as left.\n\n{BENCH_ONLY}")
@click.option("--rig", required=True, help="Rig file, or the name of a shipped one.")
@click.option("--plan", default=None, help="Plan file, or the name of a shipped one; the rig's default without it.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=None, help="Fixes what is random; in a simulation, the truth."
)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where runs go.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def flow_calibration(rig: str, plan: str | None, seed: int | None, runs: Path, as_json: bool) -> None:
    from bench.flow_calibration.report import write_report
    from bench.metrology import Verdict
    from bench.rigfile import load_rig_file
    from bench.runner import flow_calibration as run_it

    with _exit_codes(as_json):
        asks = load_rig_file(rig)[0].operator.kind == "console"
        with _progress(None if as_json else "lines" if asks else "bar") as progress:
            finished = run_it(rig, plan, runs, seed=seed, progress=progress)
        report = write_report(finished.folder)
    result = finished.result
    if as_json:
        print_json(
            verdict=result.verdict.value,
            as_found=result.as_found_verdict.value,
            as_left=result.as_left_verdict.value if result.as_left_verdict is not None else None,
            report=str(report),
            folder=str(finished.folder),
        )
    else:
        _print_outcome(result, report, finished.folder)
    sys.exit(0 if result.verdict is Verdict.PASS else EXIT_NOT_PASSED)


@cli.command(help="Rebuild the report of a run from its folder alone.")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def report(folder: Path, as_json: bool) -> None:
    from bench.flow_calibration.report import write_report

    with _exit_codes(as_json):
        path = write_report(folder)
    if as_json:
        print_json(report=str(path))
    else:
        click.echo(f"Report: {path}")


@cli.group(help="Hold the bench against the truth of its simulation.")
def validate() -> None:
    pass


@validate.command(
    "flow-calibration", help="Score many simulated calibrations: do 95 % of the intervals hold the truth?"
)
@click.option("--rig", default="sim", show_default=True, help="A simulated rig.")
@click.option("--plan", default=None, help="Plan file, or the name of a shipped one; the rig's default without it.")
@click.option("--seeds", type=click.IntRange(min=1), default=1000, show_default=True, help="How many, consecutive.")
@click.option("--first-seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--corrections-off", is_flag=True, help="Also analyse without each correction: the check must fail there."
)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="Print the tallies as JSON.")
def validate_flow_calibration(
    rig: str, plan: str | None, seeds: int, first_seed: int, corrections_off: bool, workers: int, as_json: bool
) -> None:
    from concurrent.futures import ProcessPoolExecutor
    from dataclasses import asdict

    from bench.rigfile import load_rig_file
    from bench.validation import CORRECTIONS_OFF, tally_table, validate

    without = CORRECTIONS_OFF if corrections_off else {}
    with _exit_codes(as_json):
        plan = plan if plan is not None else load_rig_file(rig)[0].default_plan
        with ProcessPoolExecutor(workers) as executor:
            numbers = range(first_seed, first_seed + seeds)
            results, *analyses = validate(executor, numbers, rig, plan, tuple(without.values()))
    holds = all(tally.holds for tally in results)
    bites = {name: not all(tally.holds for tally in tallies) for name, tallies in zip(without, analyses, strict=True)}
    if as_json:
        named = dict(zip(without, analyses, strict=True))
        print_json(
            holds=holds,
            tallies=[asdict(tally) for tally in results],
            without={name: [asdict(tally) for tally in tallies] for name, tallies in named.items()},
        )
    else:
        click.echo(tally_table("as published", results))
        for name, tallies in zip(without, analyses, strict=True):
            click.echo(tally_table(f"without {name}: the check {'fails' if bites[name] else 'DOES NOT FAIL'}", tallies))
        click.echo(f"Seeds {first_seed} to {first_seed + seeds - 1}: {'holds' if holds else 'DOES NOT HOLD'}")
    sys.exit(0 if holds and all(bites.values()) else EXIT_NOT_PASSED)


cli.add_command(campaign)
cli.add_command(doses)
cli.add_command(keys)
cli.add_command(pair)
cli.add_command(protocol)
cli.add_command(simulate)
cli.add_command(stop)
cli.add_command(wire)


def main() -> NoReturn:
    """Entry point of the command."""
    cli.main(prog_name="thecabench")
    raise SystemExit(0)


@contextmanager
def _exit_codes(as_json: bool) -> Iterator[None]:
    """Turn what went wrong into one clear message and the exit code that scripts rely on."""
    from bench.errors import RecordingFailed, RunAborted, SetupRefused
    from bench.runner import RunFailed, interrupts_held
    from bench.toml_file import FileError
    from driver.errors import DriverError
    from protocol.errors import ProfileError

    usage = (FileError, ProfileError, SetupRefused)
    try:
        with exit_codes(as_json, usage):
            yield
    except RunFailed as failed:
        cause = failed.__cause__
        facts = {"pump": failed.pump_left, "folder": str(failed.folder)}
        if isinstance(cause, KeyboardInterrupt):
            code, message = EXIT_INTERRUPTED, "interrupted"
        elif isinstance(cause, usage):
            code, message = EXIT_USAGE, str(cause)
        elif isinstance(cause, DriverError | RunAborted | RecordingFailed | OSError):
            code, message = EXIT_DEVICE, str(cause)
        else:
            code, message = EXIT_DEVICE, f"a fault of the bench itself: {type(cause).__name__}: {cause}"
            traceback.print_exception(cause)
        with interrupts_held():
            tell(message, as_json, **facts)
            # The disk that ended the run may refuse its report too, and nothing may hide how the pump was left.
            with suppress(Exception):
                from bench.flow_calibration.report import write_report

                report = write_report(failed.folder)
                if not as_json:
                    click.echo(f"Report: {report}", err=True)
        sys.exit(code)


@contextmanager
def _progress(kind: Literal["bar", "lines"] | None) -> Iterator[Callable[[str, float, float], None] | None]:
    """A bar that is redrawn in place, or, where the operator is asked at the same terminal, a line for each step."""
    if kind is None:
        yield None
        return
    if kind == "lines":
        yield lambda text, done_s, total_s: click.echo(
            f"{100.0 * min(1.0, done_s / total_s):3.0f} %  day {done_s / 86400:.2f}: {text}", err=True
        )
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (BarColumn(bar_width=24), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=False) as bar:
        task = bar.add_task("opening the rig", total=None)

        def progress(text: str, done_s: float, total_s: float) -> None:
            bar.update(
                task, description=f"day {done_s / 86400:.2f}: {text}", completed=done_s, total=max(done_s, total_s)
            )

        yield progress
        bar.update(task, description="done", completed=1.0, total=1.0)


def _print_outcome(result: FlowCalibrationResult, report: Path, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from bench.metrology import format_value

    console = Console()
    if result.simulated:
        console.print("[bold]SIMULATED, NOT A CALIBRATION[/bold]")
    table = Table(title=f"Flow error of {result.pump_model} {result.pump_serial_number}", title_justify="left")
    for heading in ("mL/day", "stage", "error ± U (95 %)", "limit", "verdict"):
        table.add_column(heading, justify="right" if heading != "stage" else "left")
    for rate in (*result.as_found, *result.as_left):
        table.add_row(
            f"{rate.rate_ul_per_h * 0.024:g}",
            rate.stage,
            format_value(rate.error_pct, rate.expanded_uncertainty_pct, "%"),
            f"±{rate.limit_pct:g} %",
            rate.verdict.value,
        )
    console.print(table)
    for remark in result.remarks:
        click.echo(f"Remark: {remark}")
    click.echo(f"Calibration: {result.adjustment.reason}")
    as_left = f", as left {result.as_left_verdict.value}" if result.as_left_verdict is not None else ""
    click.echo(f"Pump: {result.pump_left}")
    click.echo(f"Verdict: {result.verdict.value} (as found {result.as_found_verdict.value}{as_left})")
    click.echo(f"Report: {report}")
    click.echo(f"Run folder: {folder}")
