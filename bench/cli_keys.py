"""The commands `thecabench pair` and `thecabench keys`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.exit_codes import EXIT_USAGE, exit_codes, fail, print_json

if TYPE_CHECKING:
    from driver.keys import KeyStore

KEY_FILE_HELP = "File of keys, mode 600; this user's own without it."
KEYRING_HELP = "Keep keys in the system's key ring instead (extra keyring)."
INTERRUPTED = "interrupted; any key that the pump may have been given is kept here: pair it again to be sure"
SAME = "The same check at two hosts means the same key; it gives nothing of the key away."


@click.command()
@click.option("--port", required=True, help="Device path or usb:VID:PID; a key goes over a cable alone.")
@click.option("--serial", "serial_number", default=None, help="Give a key to this pump, and to no other.")
@click.option("--baud", type=click.IntRange(min=1), default=115_200, show_default=True, help="Of a serial port, 8N1.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), default=None, help=KEY_FILE_HELP)
@click.option("--keyring", "in_keyring", is_flag=True, help=KEYRING_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def pair(
    port: str, serial_number: str | None, baud: int, key_file: Path | None, in_keyring: bool, as_json: bool
) -> None:
    """Give a pump that is in pairing mode a new key; from then on it takes orders from who has that key alone.

    Press the pairing button inside the case first. The key is drawn here, kept here before it is sent, and never shown;
    the pump must prove it before an older one is dropped. Exit 3: the pump did not take it; the sentence says which
    keys are kept.
    """
    from driver.pairing import pair as pair_pump
    from driver.transport import SerialSettings

    with _store(key_file, in_keyring, as_json, interrupted=INTERRUPTED) as store:
        pairing = pair_pump(port, store, expect_serial=serial_number, serial_settings=SerialSettings(baud=baud))
    if as_json:
        print_json(serial_number=pairing.serial_number, key_check=pairing.key_check, kept_in=store.name)
    else:
        click.echo(f"Pump {pairing.serial_number} has a new key, check {pairing.key_check}, kept in {store.name}.")
        click.echo(SAME)


@click.command()
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), default=None, help=KEY_FILE_HELP)
@click.option("--keyring", "in_keyring", is_flag=True, help=KEYRING_HELP)
@click.option("--forget", "forgotten", metavar="SERIAL", default=None, help="Drop the key of this pump first.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def keys(key_file: Path | None, in_keyring: bool, forgotten: str | None, as_json: bool) -> None:
    """List the pumps that this host has keys of, each with the check of its key, never a key."""
    from protocol import key_check

    with _store(key_file, in_keyring, as_json) as store:
        if forgotten is not None:
            if not store.keys(forgotten):
                fail(EXIT_USAGE, f"{store.name} has no key of a pump {forgotten}", as_json)
            store.replace(forgotten, ())
        pumps = {
            number: [key_check(key, number).hex() for key in store.keys(number)] for number in store.serial_numbers()
        }
    if as_json:
        listed = [{"serial_number": number, "key_checks": checks} for number, checks in pumps.items()]
        print_json(kept_in=store.name, pumps=listed)
        return
    click.echo(f"Pumps with a key in {store.name}: {len(pumps)}")
    for number, checks in pumps.items():
        doubt = "  pairing not finished: the pump has one of them" if len(checks) > 1 else ""
        click.echo(f"{number:<24}  {' or '.join(checks)}{doubt}")


@contextmanager
def _store(
    key_file: Path | None, in_keyring: bool, as_json: bool, *, interrupted: str = "interrupted"
) -> Iterator[KeyStore]:
    """Where keys are; what is wrong with that place is the caller's to mend."""
    from driver.errors import KeyStoreError
    from driver.keys import KeyFile, KeyringStore

    if key_file is not None and in_keyring:
        raise click.UsageError("give either --key-file or --keyring")
    with exit_codes(as_json, (KeyStoreError,), interrupted=interrupted):
        if in_keyring:
            yield KeyringStore()
        else:
            yield KeyFile(key_file) if key_file is not None else KeyFile.in_default_directory()
