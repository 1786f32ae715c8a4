"""Timed events of a scenario that happen to any simulated pump, on the bench or in a body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from firmware_mock.event_fields import EventFields
from firmware_mock.firmware.pump import PumpFirmware
from firmware_mock.physics.head import Head
from firmware_mock.world import World, to_ns
from protocol import SelfTestItem

PUMP_EVENTS: dict[str, frozenset[str]] = {
    "break_part": frozenset(("part", "for_h")),
    "change_stroke": frozenset(("by_pct", "for_h")),
    "mri": frozenset(("for_s", "restart_after_s")),
    "patient_button": frozenset(),
    "power_cut": frozenset(("off_s",)),
    "reboot": frozenset(),
    "slip": frozenset(("made_pct", "for_h")),
    "stall": frozenset(("for_s",)),
    "telemetry": frozenset(("for_s", "sticks")),
}
_S_PER_H = 3600.0
_PARTS = {item.name.lower(): item for item in SelfTestItem if item.name is not None}


@dataclass(frozen=True, slots=True)
class _Act:
    """Something done so long after its event, in words, and what it leaves as evidence."""

    after_s: float
    evidence: str
    words: str
    act: Callable[[], None]


def schedule_pump_event(
    world: World,
    fields: EventFields,
    firmware: PumpFirmware,
    head: Head,
    told: Callable[[str], None] = lambda text: None,
) -> None:
    """Put one of `PUMP_EVENTS` on the world's heap, for each time it comes; `told` hears in words what happens.

    `reboot` restarts the pump's firmware; `power_cut` takes its power away for `off_s` seconds; `stall` stops the rotor
    while the firmware goes on asking for steps, for `for_s` seconds or until the motor is driven afresh. `mri` is a
    field that holds it for `for_s`, and it follows again `restart_after_s` later. `slip` lets it make `made_pct` of the
    steps that it is driven to, below or above 100; `change_stroke` lets each step move so much more or less.
    `patient_button` is pressed once. `telemetry` is a magnet at the telemetry switch, which `sticks` when that goes.
    `break_part` breaks what an item of the self-test looks at. Where there is a `for_h`, it is over then, and stays
    without one.

    Raises:
        ScenarioError: a key is missing or has a wrong value.
    """
    if fields.do == "power_cut":
        off_s = fields.number("off_s")
        for at_ns in fields.times_ns:
            firmware.cut_power_at(at_ns, off_s, partial(_power_goes, world, off_s, told))
        return
    for step in _acts(fields, firmware, head):
        for at_ns in fields.times_ns:
            when_ns = at_ns + to_ns(step.after_s)
            happen_at(world, when_ns, f"event.{step.evidence}", partial(_do, step, told))


def happen_at(world: World, at_ns: int, evidence: str, act: Callable[[], None]) -> None:
    """Do something at an instant, and leave evidence of it then."""

    def happen() -> None:
        act()
        world.ledger.saw(evidence)

    world.at(at_ns, happen)


def _do(step: _Act, told: Callable[[str], None]) -> None:
    told(step.words)
    step.act()


def _power_goes(world: World, off_s: float, told: Callable[[str], None]) -> None:
    world.ledger.saw("event.power_cut")
    told(f"power goes for {off_s:g} s")


def _acts(fields: EventFields, firmware: PumpFirmware, head: Head) -> list[_Act]:
    match fields.do:
        case "reboot":
            return [_Act(0.0, "reboot", "the firmware is reset", firmware.reboot)]
        case "patient_button":
            return [_Act(0.0, "patient_button", "the patient presses the button", firmware.press_button)]
        case "stall":
            held = fields.has("for_s")
            stall = _Act(0.0, "stall", "the rotor stands", partial(head.stall, held=held))
            freed = _Act(fields.number("for_s", default=0.0), "stall_ended", "the rotor is free again", head.free)
            return [freed, stall] if held else [stall]
        case "mri":
            for_s = fields.number("for_s")
            free_s = for_s + fields.number("restart_after_s", default=0.0)
            return [
                _Act(0.0, "mri", "an MRI field holds the rotor", partial(head.stall, held=True)),
                _Act(for_s, "mri_left", "the MRI field is gone", lambda: None),
                _Act(free_s, "mri_ended", "the rotor is free again", head.free),
            ]
        case "telemetry":
            return _telemetry(fields, firmware)
        case "slip":
            made_pct = fields.number("made_pct", lowest=0.01, highest=1000.0)
            begin = _Act(
                0.0, "slip", f"the rotor makes {made_pct:g} % of its steps", partial(head.slip, round(1e4 * made_pct))
            )
            return [begin, *_later(fields, "slip_ended", "the rotor makes every step", partial(head.slip, 1_000_000))]
        case "change_stroke":
            by_pct = fields.number("by_pct", lowest=-99.0, highest=1000.0)
            begin = _Act(
                0.0,
                "change_stroke",
                f"each step moves {by_pct:+g} %",
                partial(head.change_stroke, 1.0 + by_pct / 100.0),
            )
            undo = partial(head.change_stroke, 1.0)
            return [begin, *_later(fields, "change_stroke_ended", "each step moves what it did", undo)]
    name = fields.choice("part", _PARTS, "part")
    begin = _Act(0.0, "break_part", f"{name} breaks", partial(firmware.upkeep.break_part, _PARTS[name]))
    mend = partial(firmware.upkeep.mend_part, _PARTS[name])
    return [begin, *_later(fields, "break_part_ended", f"{name} is in order again", mend)]


def _telemetry(fields: EventFields, firmware: PumpFirmware) -> list[_Act]:
    upkeep, for_s = firmware.upkeep, fields.number("for_s")
    sticks = bool(fields.whole("sticks", lowest=0, highest=1, default=0))
    gone = "the magnet goes, and the switch sticks" if sticks else "the magnet goes"

    def leave() -> None:
        upkeep.let_switch_stick(sticks)
        upkeep.open_switch()

    return [
        _Act(0.0, "telemetry", "a magnet at the telemetry switch", upkeep.close_switch),
        _Act(for_s, "telemetry_ended", gone, leave),
    ]


def _later(fields: EventFields, evidence: str, words: str, act: Callable[[], None]) -> list[_Act]:
    """What ends it after `for_h`; nothing where it stays."""
    return [_Act(_S_PER_H * fields.number("for_h"), evidence, words, act)] if fields.has("for_h") else []
