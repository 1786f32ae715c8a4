"""The command `thecabench stop`: the pump must stand now, whatever is wrong with journal, keys, disk or lease."""

from __future__ import annotations

import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli_keys import KEY_FILE_HELP, KEYRING_HELP
from bench.exit_codes import EXIT_DEVICE, EXIT_INTERRUPTED, fail, print_json

if TYPE_CHECKING:
    from driver import DriverError, Pump, StopReport
    from driver.keys import KeySource
    from driver.transport import Transport
    from protocol import Mode

MAY_DELIVER = "the pump may still be delivering: close the stopcock or the clamp, or switch the pump off"


@click.command()
@click.option("--port", required=True, help="Device path, socket://host:port, rfc2217://host:port or usb:VID:PID.")
@click.option("--serial", "--serial-number", "serial_number", default=None, help="Stop this pump, and no other.")
@click.option("--baud", type=click.IntRange(min=1), default=115_200, show_default=True, help="Of a serial port, 8N1.")
@click.option("--key-file", type=click.Path(path_type=Path), default=None, help=KEY_FILE_HELP)
@click.option("--keyring", "in_keyring", is_flag=True, help=KEYRING_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def stop(
    port: str, serial_number: str | None, baud: int, key_file: Path | None, in_keyring: bool, as_json: bool
) -> None:
    """Stop the pump at a port, now, and say whether it confirmed that. Bench only, not for clinical use.

    No journal is opened and nothing needs to be written, so neither a full disk nor another program's journal or
    control lease keeps STOP back; what was stopped is settled when the pump is next opened. A pump that has a key is
    stopped only with it. Where the keys here cannot be read, STOP goes out in the open, for a pump without one.

    Exit 0: the pump confirmed STOP; 3: it did not, or nothing proves it, so it may still be delivering; 130:
    interrupted before it did.
    """
    from driver.errors import DriverError
    from driver.transport import SerialSettings, open_transport

    if key_file is not None and in_keyring:
        raise click.UsageError("give either --key-file or --keyring")
    keys = _KeysAsFarAsRead(key_file, in_keyring)
    try:
        with closing(open_transport(port, SerialSettings(baud=baud))) as transport:
            outcome = _stopped(transport, serial_number, keys)
    except KeyboardInterrupt:
        fail(EXIT_INTERRUPTED, f"{port}: interrupted before STOP was confirmed, and {MAY_DELIVER}", as_json)
    except DriverError as error:
        fail(EXIT_DEVICE, _unconfirmed(error, keys), as_json)
    except OSError as error:
        fail(EXIT_DEVICE, f"{port}: STOP is not confirmed ({error}) and {MAY_DELIVER}", as_json)
    if outcome.doubt:
        fail(EXIT_DEVICE, outcome.doubt, as_json)
    with suppress(OSError):
        _print(outcome, keys.fault, as_json)
    sys.exit(0)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """STOP as it was answered; `mode` is None where it could not be read, `doubt` why the pump may not stand."""

    serial_number: str
    is_authenticated: bool
    report: StopReport
    mode: Mode | int | None
    doubt: str


class _KeysAsFarAsRead:
    """The keys of a store, and none where it cannot be read: `fault` is why. The store too is made when first asked."""

    def __init__(self, key_file: Path | None, in_keyring: bool) -> None:
        self.name = "the system's key ring" if in_keyring else str(key_file or "this user's own file of keys")
        self.fault: str | None = None
        self._key_file = key_file
        self._in_keyring = in_keyring

    def keys(self, serial_number: str) -> tuple[bytes, ...]:
        from driver.keys import KeyFile, KeyringStore

        try:
            if self._in_keyring:
                return KeyringStore().keys(serial_number)
            store = KeyFile(self._key_file) if self._key_file is not None else KeyFile.in_default_directory()
            self.name = store.name
            return store.keys(serial_number)
        except Exception as error:  # whatever it is, a pump without a key must be stopped all the same
            self.fault = str(error) or type(error).__name__
            return ()


def _stopped(transport: Transport, serial_number: str | None, keys: _KeysAsFarAsRead) -> _Outcome:
    """Raises what `Pump.open` and `Pump.stop` do; but for the keys here, STOP goes out in the open as well."""
    from driver.errors import DowngradeRefused, TestKeyRefused
    from driver.keys import KeysInMemory
    from protocol import Mode

    doubt = ""
    try:
        pump = _opened(transport, serial_number, keys)
    except TestKeyRefused as refused:
        keys.fault = str(refused)
        pump = _opened(transport, serial_number, KeysInMemory())
    except DowngradeRefused as refused:
        doubt = (
            f"{refused.port}: STOP was answered in the open, nothing proves by whom ({refused.finding}), and "
            f"{MAY_DELIVER}{_advice(refused)}"
        )
        pump = _opened(transport, serial_number, KeysInMemory())
    with pump:
        report = pump.stop()
        mode = _mode(pump)
        if mode not in (None, Mode.STOPPED):
            why = f"the pump answers it and says that it runs, in mode {_name(mode)}"
            doubt = f"{pump.port}: STOP is not confirmed ({why}) and {MAY_DELIVER}"
        return _Outcome(pump.identity.serial_number, pump.is_authenticated, report, mode, doubt)


def _opened(transport: Transport, serial_number: str | None, keys: KeySource) -> Pump:
    from driver.clock import SystemClock
    from driver.pump import Pump

    return Pump.open(transport, clock=SystemClock(), expect_serial=serial_number, observe=True, key=keys)


def _mode(pump: Pump) -> Mode | int | None:
    """What the pump does after it confirmed STOP; nothing that goes wrong here takes the confirmation back."""
    from driver.errors import DriverError

    try:
        return pump.status().mode
    except (DriverError, OSError, KeyboardInterrupt):
        return None


def _unconfirmed(error: DriverError, keys: _KeysAsFarAsRead) -> str:
    """One sentence: that STOP is not confirmed, why, what to do at the pump, and what to mend."""
    from driver.errors import NotAuthenticated, StopUnconfirmed

    if isinstance(error, StopUnconfirmed):
        return str(error)
    finding, advice = error.finding, _advice(error)
    if isinstance(error, NotAuthenticated) and keys.fault is not None:
        finding, advice = f"it takes STOP only from who has its key, and {keys.fault}", ""
    return f"{error.port}: STOP is not confirmed ({finding}) and {MAY_DELIVER}{advice}"


def _advice(error: DriverError) -> str:
    """What the error's own sentence says to do, as it goes on behind another's end."""
    return error.sentence.removeprefix(error.finding)


def _name(mode: Mode | int | None) -> str:
    return "not read" if mode is None else str(getattr(mode, "name", mode))


def _print(outcome: _Outcome, fault: str | None, as_json: bool) -> None:
    report = outcome.report
    remark = None if fault is None else f"STOP went out in the open, since no key could be used: {fault}"
    if as_json:
        print_json(
            serial_number=outcome.serial_number,
            confirmed=True,
            authenticated=outcome.is_authenticated,
            mode=_name(outcome.mode) if outcome.mode is not None else None,
            steps=report.steps,
            delivered_ul=report.delivered_ul,
            device_time_us=report.device_time_us,
            remark=remark,
        )
        return
    click.echo(
        f"Pump {outcome.serial_number} confirmed STOP at {report.steps} steps, {report.delivered_ul:.6g} µL, "
        f"{report.device_time_us / 1e6:.3f} s after its boot; mode: {_name(outcome.mode)}"
    )
    if remark is not None:
        click.echo(f"Remark: {remark}", err=True)
