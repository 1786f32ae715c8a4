"""How a command ends: the exit codes that scripts rely on, and one clear message for what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click

EXIT_NOT_PASSED = 1
EXIT_USAGE = 2
EXIT_DEVICE = 3
EXIT_INTERRUPTED = 130

_FACT_NAMES = {"pump": "Pump", "folder": "Recorded so far"}


@contextmanager
def exit_codes(
    as_json: bool, usage: tuple[type[Exception], ...] = (), *, interrupted: str = "interrupted"
) -> Iterator[None]:
    """Turn what went wrong into a message and an exit code: `usage` errors are the caller's, 2; a device's are 3."""
    from driver.errors import DriverError

    try:
        yield
    except usage as error:
        fail(EXIT_USAGE, str(error), as_json)
    except (DriverError, OSError) as error:
        fail(EXIT_DEVICE, str(error), as_json)
    except KeyboardInterrupt:
        fail(EXIT_INTERRUPTED, interrupted, as_json)


def fail(code: int, message: str, as_json: bool) -> NoReturn:
    """Say what was wrong and exit."""
    tell(message, as_json)
    sys.exit(code)


def tell(message: str, as_json: bool, **facts: str) -> None:
    """Say what was wrong, with facts beside it; where nobody can hear it, that is all right."""
    with suppress(OSError):
        if as_json:
            print_json(error=message, **facts)
        else:
            click.echo(f"Error: {message}", err=True)
            for name, value in facts.items():
                click.echo(f"{_FACT_NAMES[name]}: {value}", err=True)


def print_json(**facts: Any) -> None:
    """One JSON object on one line."""
    import msgspec

    click.echo(msgspec.json.encode(facts).decode())
