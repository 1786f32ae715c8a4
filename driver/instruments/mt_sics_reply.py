"""MT-SICS replies: from a line to fields and masses, every error reply an exception that carries it. No I/O here.

Source: MT-SICS reference manuals 11780711 and 11781363, "Response formats" and "Error messages": identifier, status,
parameters; a weight is right-aligned with its unit behind it; ES, ET, EL stand alone.
"""

from __future__ import annotations

import re
from decimal import Decimal

from driver.errors import (
    BalanceError,
    BalanceFault,
    BalanceLogicError,
    BalanceNotReady,
    BalanceOverload,
    BalanceProtocolError,
    BalanceRestarted,
    BalanceSyntaxError,
    BalanceTransmissionError,
    BalanceUnderload,
)

MG_PER_UNIT = {
    "kg": Decimal(1_000_000),
    "g": Decimal(1_000),
    "mg": Decimal(1),
    "µg": Decimal("0.001"),
    "μg": Decimal("0.001"),
    "ug": Decimal("0.001"),
    "mcg": Decimal("0.001"),
}

_FIELD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_WHOLE_REPLIES: dict[str, tuple[type[BalanceError], str]] = {
    "ES": (BalanceSyntaxError, "it does not know the command"),
    "ET": (BalanceTransmissionError, "the command arrived damaged; check baud rate, parity and cable"),
    "EL": (BalanceLogicError, "it cannot carry the command out"),
}
_STATUSES: dict[str, tuple[type[BalanceError], str]] = {
    "+": (BalanceOverload, "overload, there is more on the pan than the range of this command holds"),
    "-": (BalanceUnderload, "underload, the pan or its load is not in place, or below the range of this command"),
    "I": (BalanceNotReady, "not executable now, it is busy or did not become stable in its own time"),
    "L": (BalanceLogicError, "it knows the command and not this parameter"),
}


def read_fields(port: str, command: str, identifier: str, statuses: str, raw: str) -> list[str]:
    """The fields of a reply, identifier and status among them; `statuses` are the good ones.

    Raises:
        BalanceError: the reply is an error, an announcement after a restart, or no reply to `command`.
    """
    text = raw.strip()
    fields = [quoted or bare for quoted, bare in _FIELD.findall(text)]
    if text in _WHOLE_REPLIES:
        kind, meaning = _WHOLE_REPLIES[text]
        raise kind(port, f"the balance answered {text} to {command}: {meaning}", command=command, raw=raw)
    if len(fields) >= 2 and fields[0] == identifier:
        if fields[1] in _STATUSES:
            kind, meaning = _STATUSES[fields[1]]
            raise kind(port, f"the balance answered “{text}” to {command}: {meaning}", command=command, raw=raw)
        if fields[1] in tuple(statuses):
            return fields
    elif is_announcement(text):
        raise restarted(port, command, raw)
    raise strange(port, command, raw, f"it should begin with {identifier} and a status out of {', '.join(statuses)}")


def read_mass(port: str, command: str, identifier: str, raw: str) -> tuple[float, bool]:
    """The mass in mg, and whether the balance holds it for stable.

    Raises:
        BalanceError: the reply is an error or holds no mass.
    """
    fields = read_fields(port, command, identifier, "SD", raw)
    if len(fields) > 2 and fields[2] == "Error":
        fault = " ".join(fields[3:])
        raise BalanceFault(port, f"the balance answered {command} with its fault {fault}", command=command, raw=raw)
    if len(fields) != 4:
        raise strange(port, command, raw, "it should hold a number and a unit")
    return to_mg(port, command, fields[2], fields[3], raw), fields[1] == "S"


def to_mg(port: str, command: str, number: str, unit: str, raw: str) -> float:
    """A number and a unit as they were sent, in mg.

    Raises:
        BalanceProtocolError: one of them is none.
    """
    if not _NUMBER.fullmatch(number):
        raise strange(port, command, raw, f"{number!r} should be a number")
    if unit not in MG_PER_UNIT:
        raise strange(port, command, raw, f"the unit {unit!r} should be one of {', '.join(MG_PER_UNIT)}")
    return float(Decimal(number) * MG_PER_UNIT[unit])


def is_announcement(raw: str) -> bool:
    """Whether this is what a balance sends unasked after it was switched on: its serial number."""
    return raw.startswith("I4 A")


def restarted(port: str, command: str, raw: str) -> BalanceRestarted:
    """The error for an announcement where a reply to `command` was due."""
    return BalanceRestarted(
        port, f"the balance announced itself ({raw}): it restarted, zero and tare are lost", command=command, raw=raw
    )


def strange(port: str, command: str, raw: str, wanted: str) -> BalanceProtocolError:
    """The error for a reply that is none to `command`."""
    return BalanceProtocolError(port, f"the balance answered {raw!r} to {command}; {wanted}", command=command, raw=raw)
