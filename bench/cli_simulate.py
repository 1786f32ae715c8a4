"""The command `thecabench simulate`: a pump's life in a body, by a scenario, with its truth shown by design."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bench.exit_codes import EXIT_NOT_PASSED, exit_codes, print_json


@click.command()
@click.argument("scenario")
@click.option("--model", default=None, help="Pump model, or a .toml file of one; the scenario's without it.")
@click.option("--days", type=click.FloatRange(min=0.0, min_open=True, max=36_525.0), default=None, help="Of its days.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Fixes what is random.")
@click.option("--plot", is_flag=True, help="Also draw it, as SVG and PNG.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=None,
    help="Where the files go; runs/simulate-SCENARIO without it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def simulate(
    scenario: str, model: str | None, days: float | None, seed: int, plot: bool, out: Path | None, as_json: bool
) -> None:
    """Play SCENARIO, a file or a shipped name: what the pump does, what it says, and what arrives at the tip.

    Writes rows and notes as Parquet. SIMULATED, NOT FOR CLINICAL USE: no rig, no driver and no procedure takes part,
    and the truth beside the pump's own account is shown by design. Exit 1: something that must be seen in the scenario
    was not, or a safety property broke otherwise than it says; with another model or other days nothing is held against
    it.
    """
    from bench.toml_file import FileError
    from protocol.errors import ProfileError

    with exit_codes(as_json, (FileError, ProfileError)):
        from bench.simulate.events_table import events_text
        from bench.simulate.files import summarised, write_files
        from bench.simulation import simulate_life

        life = simulate_life(scenario, model=model, days=days, seed=seed)
        folder = out if out is not None else Path("runs") / f"simulate-{life.scenario}"
        files = write_files(life, folder)
        if plot:
            from bench.simulate.plots import write_plot

            files += write_plot(life, folder)
    if as_json:
        print_json(**summarised(life), files=[str(file) for file in files])
    else:
        click.echo(events_text(life), nl=False)
        for file in files:
            click.echo(f"Wrote {file}")
    sys.exit(0 if life.as_expected else EXIT_NOT_PASSED)
