"""The command `thecabench doses`: what this host knows of the doses it gave, and the operator's way out of doubt."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.exit_codes import EXIT_USAGE, exit_codes, print_json, tell

if TYPE_CHECKING:
    from driver.dose_list import NotedDose, NotedPump

AS = ("delivered", "partly", "not delivered")

_journal_option = click.option(
    "--journal",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of journals, or one journal; this user's own without it.",
)
_pump_option = click.option("--pump", "serial_number", default=None, help="Serial number: of this pump alone.")


@click.group(invoke_without_command=True)
@_journal_option
@_pump_option
@click.option("--open", "only_open", is_flag=True, help="Only those whose end is not known.")
@click.option("--json", "as_json", is_flag=True, help="Print the doses as JSON.")
@click.pass_context
def doses(
    context: click.Context, journal: Path | None, serial_number: str | None, only_open: bool, as_json: bool
) -> None:
    """List the doses in this host's journals: id, when, what, state, and what was delivered. No pump is asked.

    An uncertain dose counts as delivered and blocks dosing until its pump tells what became of it, which it is asked
    at each opening, or somebody resolves it by name: `thecabench doses resolve`.
    """
    if context.invoked_subcommand is not None:
        if only_open:
            raise click.UsageError(f"--open belongs to the list, not to {context.invoked_subcommand}")
        context.obj = (journal, serial_number, as_json)
        return
    with exit_codes(as_json, _usage()):
        pumps, faults = _pumps(journal, serial_number)
    chosen = [(pump, [dose for dose in pump.doses if dose.is_open or not only_open]) for pump in pumps]
    if as_json:
        print_json(pumps=[_pump_as_json(*each) for each in chosen], errors=faults)
    else:
        for each in chosen:
            _print_pump(*each)
        if not pumps and not faults:
            click.echo(f"No doses: there is no journal at {_place(journal)}")
        for fault in faults:
            tell(fault, as_json)
    sys.exit(EXIT_USAGE if faults else 0)


@doses.command()
@click.argument("id_", metavar="ID", type=click.IntRange(min=1))
@click.option("--as", "as_", required=True, type=click.Choice(AS), help="What the dose is taken as from now on.")
@click.option(
    "--volume-ul", nargs=2, type=float, default=None, metavar="LOW HIGH", help="What was delivered lies between these."
)
@click.option("--by", required=True, help="Your name: it stays on record.")
@click.option("--because", required=True, help="How it is known what was delivered: it stays on record.")
@click.option("--pump-lost", is_flag=True, help="A pending dose too: its pump can never be asked again.")
@_journal_option
@_pump_option
@click.option("--json", "as_json", is_flag=True, help="Print the dose as JSON.")
@click.pass_context
def resolve(
    context: click.Context,
    id_: int,
    as_: str,
    volume_ul: tuple[float, float] | None,
    by: str,
    because: str,
    pump_lost: bool,
    journal: Path | None,
    serial_number: str | None,
    as_json: bool,
) -> None:
    """Say by name what a dose is taken as whose end no pump tells. Ask the pump first, by opening it: it may know.

    Partly needs --volume-ul. Only an uncertain dose can be resolved; a pending one is the pump's to tell, and needs
    --pump-lost.
    """
    from driver.dose_list import read_doses
    from driver.journal import Journal

    before = context.obj
    journal, serial_number, as_json = journal or before[0], serial_number or before[1], as_json or before[2]
    with exit_codes(as_json, _usage()):
        pump = _one_pump(journal, serial_number)
        file = Journal.in_file(pump.path)
        file.bind(pump.serial_number)
        try:
            file.resolve(id_, by=by, because=because, as_=as_, volume_ul=volume_ul, pump_lost=pump_lost)
        finally:
            file.release()
        resolved = next(dose for dose in read_doses(pump.path).doses if dose.id == id_)
    if as_json:
        print_json(serial_number=pump.serial_number, **_dose_as_json(resolved))
    else:
        click.echo(f"Pump {pump.serial_number}: {'  '.join(_row(resolved))}")


def _usage() -> tuple[type[Exception], ...]:
    from bench.errors import SetupRefused

    return (SetupRefused, ValueError)


def _place(journal: Path | None) -> Path:
    from driver.journal import default_directory

    return journal if journal is not None else default_directory()


def _pumps(journal: Path | None, serial_number: str | None) -> tuple[list[NotedPump], list[str]]:
    """The pumps with a journal, and what is wrong with journals that cannot be read.

    Raises:
        SetupRefused: what is asked for is not there.
    """
    from bench.errors import SetupRefused
    from driver.dose_list import journals_at, read_doses
    from driver.errors import JournalError

    place = _place(journal)
    if journal is not None and not place.exists():
        raise SetupRefused(f"there is no journal at {place}; give the folder or the file that --journal means")
    pumps, faults = [], []
    for path in journals_at(place):
        try:
            pumps.append(read_doses(path))
        except JournalError as error:
            faults.append(str(error))
    pumps.sort(key=lambda pump: (pump.serial_number, pump.path))
    if serial_number is None:
        return pumps, faults
    chosen = [pump for pump in pumps if pump.serial_number == serial_number]
    if not chosen and not faults:
        known = ", ".join(pump.serial_number for pump in pumps) or "none"
        raise SetupRefused(f"there is no journal of pump {serial_number} at {place}; pumps with one: {known}")
    return chosen, [] if chosen else faults


def _one_pump(journal: Path | None, serial_number: str | None) -> NotedPump:
    """
    Raises:
        SetupRefused: it is not there, or which one is meant is not said.
    """
    from bench.errors import SetupRefused

    pumps, faults = _pumps(journal, serial_number)
    if not pumps:
        raise SetupRefused("; ".join(faults) or f"there is no journal at {_place(journal)}")
    if len(pumps) + len(faults) > 1:
        known = "; ".join([*(f"{pump.serial_number} ({pump.path})" for pump in pumps), *faults])
        raise SetupRefused(f"which pump is not clear, give --pump, or its file as --journal; there are: {known}")
    return pumps[0]


def _print_pump(pump: NotedPump, shown: list[NotedDose]) -> None:
    click.echo(f"Pump {pump.serial_number}, {len(shown)} of {len(pump.doses)} doses ({pump.path})")
    for notice in pump.notices:
        click.echo(f"  Notice: {notice}")
    rows = [_row(dose) for dose in shown]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(dose: NotedDose) -> tuple[str, ...]:
    from driver.agreement import described

    by = f"by {dose.by}: {dose.because}" if dose.by else ""
    when = dose.wall.partition(".")[0].replace("T", " ")
    return (str(dose.id), f"{when} UTC", dose.kind, dose.state.value, _volume(dose), described(dose.values), by)


def _volume(dose: NotedDose) -> str:
    low_ul, high_ul = dose.delivered_low_ul, dose.delivered_high_ul
    if not math.isfinite(high_ul):
        return f"{low_ul:.6g} µL or more"
    return f"{low_ul:.6g} µL" if low_ul == high_ul else f"{low_ul:.6g} to {high_ul:.6g} µL"


def _pump_as_json(pump: NotedPump, shown: list[NotedDose]) -> dict[str, Any]:
    return {
        "serial_number": pump.serial_number,
        "journal": str(pump.path),
        "notices": pump.notices,
        "doses": [_dose_as_json(dose) for dose in shown],
    }


def _dose_as_json(dose: NotedDose) -> dict[str, Any]:
    return {
        "id": dose.id,
        "wall": dose.wall,
        "kind": dose.kind,
        "values": dose.values,
        "state": dose.state.value,
        "delivered_low_ul": dose.delivered_low_ul,
        "delivered_high_ul": dose.delivered_high_ul if math.isfinite(dose.delivered_high_ul) else None,
        "by": dose.by or None,
        "because": dose.because or None,
    }
