"""The commands `thecabench protocol export` and `thecabench protocol conformance`."""

from __future__ import annotations

import secrets
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.exit_codes import EXIT_INTERRUPTED, EXIT_NOT_PASSED, exit_codes, print_json

if TYPE_CHECKING:
    from bench.conformance import ConformanceReport, Outcome

BAUD = 115_200
SHOWN_BYTES = 160


@click.group(help="The wire protocol between bench and pump.")
def protocol() -> None:
    pass


@protocol.command("export", help="Print an artefact that is generated from the message definitions.")
@click.argument("form", type=click.Choice(["c-header", "kaitai", "markdown", "vectors", "wireshark"]))
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file instead.")
def export(form: str, output: Path | None) -> None:
    from protocol.export import FORMATS

    text = FORMATS[form]()
    if output is None:
        click.echo(text, nl=False)
        return
    with exit_codes(as_json=False):
        output.write_text(text, encoding="utf-8", newline="\n")


@protocol.command("conformance")
@click.option("--port", required=True, help="Device path, socket://host:port, rfc2217://host:port or usb:VID:PID.")
@click.option(
    "--baud", type=click.IntRange(min=1), default=BAUD, show_default=True, help="Line speed of a serial port."
)
@click.option("--may-dose", is_flag=True, help="Also run the checks that move fluid: a small bolus, a short infusion.")
@click.option("--seed", type=click.IntRange(min=0), default=None, help="Fixes the noise and the sessions' nonces.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def conformance(port: str, baud: int, may_dose: bool, seed: int | None, as_json: bool) -> None:
    """Hold a device against its side of docs/protocol.md, sentence by sentence.

    Without --may-dose nothing moves fluid; commands that change nothing are proposed, and some are stopped, which uses
    up command ids. The pump must be stopped before, and is stopped after. It takes one to two minutes. A device that
    has a key is held only to what it must do for hosts without it: be read, and refuse the rest; check it before it
    is paired for all else.

    Exit 0: no check failed; 1: one did; 2: the pump is in use; 3: no pump answers.
    """
    from bench.conformance import run_conformance
    from bench.errors import SetupRefused
    from driver.clock import SystemClock
    from driver.transport import SerialSettings, open_transport

    seed = seed if seed is not None else secrets.randbits(32)
    progress = _say_nothing if as_json else _say_outcome
    with (
        exit_codes(as_json, (SetupRefused,), interrupted="interrupted; nobody asked the pump how it was left"),
        closing(open_transport(port, SerialSettings(baud=baud))) as transport,
    ):
        report = run_conformance(transport, SystemClock(), seed=seed, may_dose=may_dose, progress=progress)
    if as_json:
        print_json(**_as_facts(report, port, seed))
    else:
        _print_table(report, port, seed)
    sys.exit(EXIT_INTERRUPTED if report.interrupted else 0 if report.passed else EXIT_NOT_PASSED)


def _as_facts(report: ConformanceReport, port: str, seed: int) -> dict[str, object]:
    hello = report.hello
    return {
        "passed": report.passed,
        "interrupted": report.interrupted,
        "port": port,
        "seed": seed,
        "model": hello.model,
        "serial_number": hello.serial_number,
        "firmware_version": hello.firmware_version,
        "counts": {verdict.value: count for verdict, count in report.counts.items()},
        "pump_left": report.pump_left,
        "checks": [
            {
                "name": outcome.check.name,
                "sentence": outcome.check.sentence,
                "verdict": outcome.verdict.value,
                "reason": outcome.reason,
                "exchanged": [
                    {"from": "host" if part.sent else "device", "hex": part.octets.hex()} for part in outcome.exchanged
                ],
            }
            for outcome in report.outcomes
        ],
    }


def _print_table(report: ConformanceReport, port: str, seed: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from bench.conformance import Verdict

    console = Console()
    hello = report.hello
    title = f"{hello.model} {hello.serial_number}, firmware {hello.firmware_version}, at {port}"
    table = Table(title=Text(title), title_justify="left")
    table.add_column("Verdict")
    table.add_column("Check", no_wrap=True)
    table.add_column("docs/protocol.md, and what was found")
    for outcome in report.outcomes:
        found = f"{outcome.check.sentence}\n→ {outcome.reason}" if outcome.reason else outcome.check.sentence
        table.add_row(outcome.verdict.value, outcome.check.name, Text(found))
    console.print(table)
    for outcome in report.outcomes:
        if outcome.verdict is Verdict.FAIL:
            click.echo(f"FAIL {outcome.check.name}: {outcome.reason}")
            for part in outcome.exchanged:
                click.echo(f"  {'>' if part.sent else '<'} {_hex(part.octets)}")
    counts = ", ".join(f"{report.counts[verdict]} {verdict.value}" for verdict in Verdict)
    click.echo(f"Pump: {report.pump_left}")
    click.echo(f"Checks: {counts} (seed {seed}){', INTERRUPTED' if report.interrupted else ''}")


def _hex(octets: bytes) -> str:
    shown = octets[:SHOWN_BYTES].hex(" ")
    return shown if len(octets) <= SHOWN_BYTES else f"{shown} … {len(octets)} bytes in all"


def _say_outcome(outcome: Outcome) -> None:
    click.echo(f"{outcome.verdict.value:8}{outcome.check.name}", err=True)


def _say_nothing(_: Outcome) -> None:
    pass
