"""`python -m firmware_mock serve`: the simulated station on ptys and TCP ports, for unmodified programs and people."""

from __future__ import annotations

import json
import re
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from math import isfinite
from pathlib import Path

import click

from firmware_mock.endpoints import EndpointError
from firmware_mock.physics.certificates import RigFactMissing
from firmware_mock.scenario import ScenarioError
from firmware_mock.serve import Server
from firmware_mock.station import Station, StationError, read_rig, world_for
from firmware_mock.turnings import Began, Ended, TurningWatch
from firmware_mock.world import World
from protocol import KEY_BYTES
from protocol.errors import ProfileError

EXIT_BAD_FILE = 2
EXIT_NO_PORT = 3
HIGHEST_TCP_BASE = 65_000


@click.group()
def main() -> None:
    """The bench's pump and instruments in software. SIMULATED, not a medical device."""


@main.command()
@click.option("--rig", default="sim", show_default=True, help="Rig file with a [simulation] table, or a shipped name.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="Virtual seconds in a wall second.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=None, help="Seed of all that is drawn; the rig file's without."
)
@click.option("--links", type=click.Path(path_type=Path), default=None, help="Directory for the ptys' links.")
@click.option(
    "--tcp-base",
    type=click.IntRange(0, HIGHEST_TCP_BASE),
    default=5410,
    show_default=True,
    help="First TCP port; 0 takes free ones.",
)
@click.option(
    "--turnings",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Append each turning of the rotor to this file, a JSON line as it begins and one as it ends.",
)
@click.option(
    "--key",
    default=None,
    help="What the pump was paired with, 32 hex digits, for tests: others see it in the list of processes. "
    "Without it the pump takes orders from everybody.",
)
@click.option("--pairing", is_flag=True, help="Its pairing button was pressed: it takes one key, from thecabench pair.")
def serve(
    rig: str,
    speed: float,
    seed: int | None,
    links: Path | None,
    tcp_base: int,
    turnings: Path | None,
    key: str | None,
    pairing: bool,
) -> None:
    """Offer the rig's ports until Ctrl-C, each on a pty (where there are ptys) and on a TCP port of this machine."""
    if not isfinite(speed) or speed <= 0.0:
        raise click.BadParameter(f"{speed} is not a number above 0", param_hint="--speed")
    if key is not None and not re.fullmatch(f"[0-9a-fA-F]{{{2 * KEY_BYTES}}}", key):
        raise click.BadParameter(f"a key is {2 * KEY_BYTES} hex digits", param_hint="--key")
    try:
        facts = read_rig(rig)
        if seed is None:
            seed = int(facts["simulation"].get("seed", 0))
        world = world_for(facts, seed=seed)
        station = Station.from_rig_file(facts, world, key=None if key is None else bytes.fromhex(key))
    except (StationError, ScenarioError, RigFactMissing, ProfileError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_BAD_FILE)
    if turnings is not None:
        try:
            _tell_turnings(turnings, world, station)
        except OSError as error:
            click.echo(f"error: {turnings} cannot be written: {error.strerror}; name another file", err=True)
            sys.exit(EXIT_BAD_FILE)
    if pairing:
        station.firmware.press_pairing_button()
    if links is None:
        links = Path(tempfile.gettempdir()) / "thecabench"
    try:
        server = Server(station, speed=speed, links=links, tcp_base=tcp_base, on_lag=_warn)
    except EndpointError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_NO_PORT)
    with server:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: server.stop())
        click.echo(f"SIMULATED, not a medical device: {facts.get('name', rig)}, seed {seed}, {speed:g} x real time")
        for name, addresses in server.names.items():
            click.echo(f"{name:<12} {'  '.join(addresses)}")
        if pairing:
            click.echo("The pump is in pairing mode: thecabench pair --port … gives it a key.")
        click.echo("Ctrl-C ends it.")
        sys.stdout.flush()
        server.run()
    world.close()


def _tell_turnings(path: Path, world: World, station: Station) -> None:
    """Have the rotor's turnings written: each line is there as soon as it is true, with the wall's monotonic ns.

    Raises:
        OSError: the file cannot be written.
    """
    file = path.open("ab", buffering=0)
    world.at_close(file.close)

    def tell(what: Began | Ended) -> None:
        line = {"at_ns": time.monotonic_ns(), "what": type(what).__name__.lower(), **asdict(what)}
        file.write(json.dumps(line).encode() + b"\n")

    TurningWatch(world, station.head, tell)


def _warn(lag_s: float) -> None:
    click.echo(f"warning: the world is {lag_s:.1f} s behind the wall clock; serve at a lower --speed", err=True)


if __name__ == "__main__":
    main(prog_name="python -m firmware_mock")
