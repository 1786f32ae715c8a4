"""What a scenario makes happen at set times: `[[events]]` with `at_h`, `do`, and what it is done to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite
from typing import Any

from firmware_mock.firmware.pump import PumpFirmware
from firmware_mock.physics.head import Head
from firmware_mock.physics.vessel import Vessel
from firmware_mock.ports import Port
from firmware_mock.scenario import ScenarioError
from firmware_mock.world import World, to_ns

_KEYS = {
    "unplug": {"port"},
    "plug": {"port"},
    "overload": {"mass_g", "for_s"},
    "reboot": set(),
    "power_cut": {"off_s"},
    "stall": {"for_s"},
}


def schedule_events(
    world: World, ports: Mapping[str, Port], vessel: Vessel, firmware: PumpFirmware, head: Head
) -> None:
    """Put the scenario's events on the world's heap; each leaves evidence `event.<do>` when it happens.

    `unplug` and `plug` take `port`; `overload` puts `mass_g` of steel on the pan, for `for_s` seconds or for good;
    `reboot` restarts the pump's firmware; `power_cut` takes its power away for `off_s` seconds; `stall` stops the rotor
    while the firmware goes on asking for steps, for `for_s` seconds or until the motor is driven afresh.

    Raises:
        ScenarioError: an event is unknown, has an unknown key, lacks one or has a wrong value.
    """
    for number, event in enumerate(world.scenario.events, start=1):
        where = f"scenario {world.scenario.name}: event {number}"
        do = event.get("do")
        if not isinstance(do, str) or do not in _KEYS:
            raise ScenarioError(f"{where}: do = {do!r} is unknown; known: {', '.join(sorted(_KEYS))}")
        known = {"at_h", "do", *_KEYS[do]}
        for key in event:
            if key not in known:
                raise ScenarioError(f"{where} ({do}) has no key {key!r}; known: {', '.join(sorted(known))}")
        at_ns = to_ns(3600.0 * _number(event, "at_h", where, lowest=0.0))
        if do == "reboot":
            _schedule(world, at_ns, "event.reboot", firmware.reboot)
        elif do == "stall":
            held = "for_s" in event
            if held:
                free_ns = at_ns + to_ns(_number(event, "for_s", where, lowest=0.0))
                _schedule(world, free_ns, "event.stall_ended", head.free)
            _schedule(world, at_ns, "event.stall", partial(head.stall, held=held))
        elif do == "power_cut":
            off_s = _number(event, "off_s", where, lowest=0.0)
            firmware.cut_power_at(at_ns, off_s, lambda: world.ledger.saw("event.power_cut"))
        elif do == "overload":
            mass_mg = 1e3 * _number(event, "mass_g", where, lowest=0.0)
            _schedule(world, at_ns, "event.overload", partial(_put_on, vessel, mass_mg))
            if "for_s" in event:
                off_ns = at_ns + to_ns(_number(event, "for_s", where, lowest=0.0))
                _schedule(world, off_ns, "event.overload_ended", partial(_put_on, vessel, -mass_mg))
        else:
            name = event.get("port")
            if not isinstance(name, str) or name not in ports:
                raise ScenarioError(f"{where} ({do}): port = {name!r} is no port; known: {', '.join(sorted(ports))}")
            port = ports[name]
            _schedule(world, at_ns, f"event.{do}", port.unplug if do == "unplug" else port.plug)


def _schedule(world: World, at_ns: int, evidence: str, act: Callable[[], None]) -> None:
    def happen() -> None:
        act()
        world.ledger.saw(evidence)

    world.at(at_ns, happen)


def _put_on(vessel: Vessel, mass_mg: float) -> None:
    vessel.extra_mass_mg += mass_mg


def _number(event: Mapping[str, Any], key: str, where: str, *, lowest: float) -> float:
    value = event.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < lowest:
        raise ScenarioError(f"{where}: {key} = {value!r} must be a number of at least {lowest:g}")
    return float(value)
