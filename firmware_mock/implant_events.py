"""What a scenario makes happen to a pump in a body: to its battery, its catheter, its reservoir, and by its clinic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from firmware_mock.clinic import Order
from firmware_mock.clinic_orders import CLINIC_EVENTS, UL_PER_ML, order_for
from firmware_mock.event_fields import EventFields
from firmware_mock.implant import Implant
from firmware_mock.physics.catheter import Condition
from firmware_mock.physics.feed_through import FeedThroughShort
from firmware_mock.pump_events import PUMP_EVENTS, happen_at, schedule_pump_event
from firmware_mock.world import to_ns
from protocol import ProposeRefill

_MOST_FILLINGS = 2.0
_WITH_CUT = frozenset(("power_cut_after_ms", "off_s"))
_CATHETER_EVENTS: dict[str, frozenset[str]] = {
    "disconnect": frozenset(("for_h",)),
    "kink": frozenset(("factor", "for_h")),
    "leak": frozenset(("share_pct", "at_cm", "for_h")),
    "move_tip": frozenset(("height_mm", "for_h")),
    "occlude": frozenset(("for_h",)),
}
_BODY_EVENTS: dict[str, frozenset[str]] = {
    "feed_through_short": frozenset(("load_uw", "resets_per_day", "for_h")),
    "film": frozenset(("locked_pct", "sag_mv")),
    "memory_rot": frozenset(("slots", "off_s")),
    "plug": frozenset(),
    "refill": frozenset(("volume_ml", "told_ml", "untold", "concentration_ug_per_ml", "pocketed_pct", "leaving_ml")),
    "unplug": frozenset(),
}
KINDS = {
    **PUMP_EVENTS,
    **_CATHETER_EVENTS,
    **_BODY_EVENTS,
    **{do: keys | _WITH_CUT for do, keys in CLINIC_EVENTS.items()},
}


def schedule_implant_events(implant: Implant) -> None:
    """Put the scenario's events on the world's heap; `every_h` and `times` make one come again.

    `refill` empties the reservoir down to `leaving_ml` and injects, twice what it is made for at most; `told_ml` is
    what the clinic tells the pump, all of it where nothing is said, nothing with `untold`. `kink`, `leak`, `occlude`,
    `disconnect` and `move_tip` are the catheter's, for good or `for_h`. `change_stroke` makes each step move more or
    less. `memory_rot` cuts the power and lets slots of the pump's memory decay meanwhile. `unplug` and `plug` are the
    clinic's programmer head. An order of the clinic with `power_cut_after_ms` loses the pump's power so long after its
    COMMIT went out.

    Raises:
        ScenarioError: an event is unknown, has an unknown key, lacks one or has a wrong value.
    """
    scenario = implant.world.scenario
    for number, event in enumerate(scenario.events, start=1):
        fields = EventFields(scenario, number, event, KINDS, may_repeat=True)
        if fields.at_ns > to_ns(86_400.0 * implant.scenario_days):
            raise fields.refuse(
                f"at_h = {event['at_h']:g} is after the scenario's {implant.scenario_days:g} days; "
                "give an earlier one, or more [implant] days"
            )
        if fields.do in PUMP_EVENTS:
            schedule_pump_event(implant.world, fields, implant.firmware, implant.parts.head, implant.happened)
        elif fields.do in CLINIC_EVENTS:
            order = order_for(fields, way_ul=implant.infusion.way_ul, utc_s=lambda: implant.utc_s)
            _each_time(implant, fields, partial(implant.clinic.wants, _with_cut(implant, fields, order)))
        elif fields.do in _CATHETER_EVENTS:
            _schedule_catheter(implant, fields)
        elif fields.do == "refill":
            _schedule_refill(implant, fields)
        elif fields.do == "film":
            locked_pct, sag_mv = fields.number("locked_pct", highest=100.0), fields.number("sag_mv", default=0.0)
            _each_time(implant, fields, partial(implant.grow_film, locked_pct=locked_pct, sag_mv=sag_mv))
        elif fields.do == "feed_through_short":
            _schedule_short(implant, fields)
        elif fields.do == "memory_rot":
            slots, off_s = fields.whole("slots", lowest=1, highest=2), fields.number("off_s", default=1.0)
            _each_time(implant, fields, partial(implant.rot_memory, slots, off_s))
        else:
            _each_time(implant, fields, implant.port.unplug if fields.do == "unplug" else implant.port.plug)


def _each_time(implant: Implant, fields: EventFields, act: Callable[[], None]) -> None:
    for at_ns in fields.times_ns:
        happen_at(implant.world, at_ns, f"event.{fields.do}", act)


def _with_cut(implant: Implant, fields: EventFields, order: Order) -> Order:
    if not fields.has("power_cut_after_ms"):
        return order
    after_ns, off_s = to_ns(1e-3 * fields.number("power_cut_after_ms")), fields.number("off_s")
    world, firmware = implant.world, implant.firmware
    return replace(
        order,
        on_commit=lambda: firmware.cut_power_at(
            world.now_ns + after_ns, off_s, lambda: implant.note("body", "the pump loses power in its programming")
        ),
    )


def _schedule_catheter(implant: Implant, fields: EventFields) -> None:
    """For each time it comes: the condition is made of the one in force then."""
    text, change = _catheter_change(implant, fields)

    def begin() -> None:
        implant.change_catheter(text, change(implant.condition))

    _each_time(implant, fields, begin)
    if fields.has("for_h"):
        for_ns = to_ns(3600.0 * fields.number("for_h", lowest=1e-6))
        for at_ns in fields.times_ns:
            happen_at(implant.world, at_ns + for_ns, f"event.{fields.do}_ended", partial(_mend, implant, fields.do))


def _mend(implant: Implant, what: str) -> None:
    """A tip that was moved goes back; anything else is mended, and leaves the tip where it is."""
    healthy, now = implant.catheter_facts.healthy(), implant.condition
    if what == "move_tip":
        implant.change_catheter("the tip lies where it lay", replace(now, tip_pressure_hpa=healthy.tip_pressure_hpa))
    else:
        mended = replace(healthy, tip_pressure_hpa=now.tip_pressure_hpa)
        implant.change_catheter("the catheter is as it was", mended)


def _catheter_change(implant: Implant, fields: EventFields) -> tuple[str, Callable[[Condition], Condition]]:
    facts = implant.catheter_facts
    match fields.do:
        case "kink":
            factor = fields.number("factor", lowest=1.0)
            return (
                f"the catheter kinks: {factor:g} times its resistance",
                lambda now: replace(now, resistance_hpa_s_per_ul=facts.resistance_hpa_s_per_ul * factor),
            )
        case "occlude":
            return "the catheter is shut", lambda now: replace(now, is_occluded=True)
        case "disconnect":
            return "the catheter comes off the pump", lambda now: replace(now, is_connected=False)
        case "leak":
            share = fields.number("share_pct", highest=100.0) / 100.0
            at_cm = fields.number("at_cm", highest=facts.length_cm, default=0.0)
            at_ul = at_cm * implant.profile.catheter_ul_per_cm
            return (
                f"the catheter leaks: {100.0 * share:g} % leaves at {at_cm:g} cm",
                lambda now: replace(now, leak_share=share, leak_at_ul=at_ul),
            )
    height_mm = fields.number("height_mm", lowest=-2000.0, highest=2000.0)
    return (
        f"the tip lies {height_mm:g} mm over the pump",
        lambda now: replace(now, tip_pressure_hpa=facts.tip_hpa(height_mm)),
    )


def _schedule_refill(implant: Implant, fields: EventFields) -> None:
    most_ml = implant.profile.reservoir_volume_ul / UL_PER_ML
    volume_ul = UL_PER_ML * fields.number("volume_ml", highest=_MOST_FILLINGS * most_ml)
    told_ul = UL_PER_ML * fields.number("told_ml", default=volume_ul / UL_PER_ML)
    untold = fields.whole("untold", lowest=0, highest=1, default=0)
    order = (
        None if untold else Order(f"refill of {told_ul / UL_PER_ML:g} mL told", lambda id_: ProposeRefill(id_, told_ul))
    )
    _each_time(
        implant,
        fields,
        partial(
            implant.refill,
            volume_ul=volume_ul,
            concentration_ug_per_ml=fields.number("concentration_ug_per_ml"),
            pocketed_share=fields.number("pocketed_pct", highest=100.0, default=0.0) / 100.0,
            leaving_ul=UL_PER_ML * fields.number("leaving_ml", highest=most_ml, default=0.0),
            order=order,
        ),
    )


def _schedule_short(implant: Implant, fields: EventFields) -> None:
    """Its resets are drawn one at a time, each when the one before has come."""
    world = implant.world
    until_ns = fields.at_ns + to_ns(3600.0 * fields.number("for_h", lowest=1e-6)) if fields.has("for_h") else None
    short = FeedThroughShort(
        fields.at_ns, until_ns, fields.number("load_uw", default=0.0), fields.number("resets_per_day")
    )
    resets_ns = short.resets_ns(world.stream("feed_through.resets"))

    def next_reset() -> None:
        at_ns = next(resets_ns, None)
        if at_ns is not None:
            happen_at(world, at_ns, "event.feed_through_reset", reset)

    def reset() -> None:
        implant.firmware.reboot()
        next_reset()

    def begin() -> None:
        implant.note(
            "body", f"a feed-through is short: {short.load_uw:g} uW more, {short.resets_per_day:g} resets a day"
        )
        implant.load_battery(short.load_uw)

    happen_at(world, fields.at_ns, "event.feed_through_short", begin)
    if until_ns is not None:
        happen_at(world, until_ns, "event.feed_through_short_ended", partial(implant.load_battery, 0.0))
    next_reset()
