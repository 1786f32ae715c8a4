"""All planted bugs by name."""

from __future__ import annotations

from planting.bug import Bug
from planting.commands import COMMAND_BUGS
from planting.dosing import DOSING_BUGS
from planting.firmware import FIRMWARE_BUGS
from planting.sessions import SESSION_BUGS

LAYERS: dict[str, tuple[Bug, ...]] = {
    "driver": DOSING_BUGS,
    "session": SESSION_BUGS,
    "pump": FIRMWARE_BUGS + COMMAND_BUGS,
}
BUGS: dict[str, Bug] = {bug.name: bug for bugs in LAYERS.values() for bug in bugs}
