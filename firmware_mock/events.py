"""What a scenario makes happen at a station at set times: `[[events]]` with `at_h`, `do`, and what it is done to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from firmware_mock.event_fields import EventFields
from firmware_mock.firmware.pump import PumpFirmware
from firmware_mock.physics.head import Head
from firmware_mock.physics.vessel import Vessel
from firmware_mock.ports import Port
from firmware_mock.pump_events import PUMP_EVENTS, happen_at, schedule_pump_event
from firmware_mock.world import World, to_ns

_STATION_EVENTS: dict[str, frozenset[str]] = {
    "unplug": frozenset(("port",)),
    "plug": frozenset(("port",)),
    "overload": frozenset(("mass_g", "for_s")),
}


def schedule_events(
    world: World, ports: Mapping[str, Port], vessel: Vessel, firmware: PumpFirmware, head: Head
) -> None:
    """Put the scenario's events on the world's heap; each leaves evidence `event.<do>` when it happens.

    `unplug` and `plug` take `port`; `overload` puts `mass_g` of steel on the pan, for `for_s` seconds or for good. The
    others happen to any pump: `schedule_pump_event`.

    Raises:
        ScenarioError: an event is unknown, has an unknown key, lacks one or has a wrong value.
    """
    for number, event in enumerate(world.scenario.events, start=1):
        fields = EventFields(world.scenario, number, event, {**_STATION_EVENTS, **PUMP_EVENTS})
        if fields.do in PUMP_EVENTS:
            schedule_pump_event(world, fields, firmware, head)
        elif fields.do == "overload":
            mass_mg = 1e3 * fields.number("mass_g")
            happen_at(world, fields.at_ns, "event.overload", partial(_put_on, vessel, mass_mg))
            if fields.has("for_s"):
                off_ns = fields.at_ns + to_ns(fields.number("for_s"))
                happen_at(world, off_ns, "event.overload_ended", partial(_put_on, vessel, -mass_mg))
        else:
            port = ports[fields.choice("port", ports, "port")]
            act = port.unplug if fields.do == "unplug" else port.plug
            happen_at(world, fields.at_ns, f"event.{fields.do}", act)


def _put_on(vessel: Vessel, mass_mg: float) -> None:
    vessel.extra_mass_mg += mass_mg
