"""A pump in a body: firmware, head, reservoir, catheter and the drug on its way to the tip, driven by a scenario.

What it records is the truth beside the pump's own account of it. That is for `thecabench simulate`, which shows the
truth by design; a procedure on a rig never sees it.
"""

from __future__ import annotations

from firmware_mock.body_effects import MOST_DAYS, CatheterFacts, ImplantFacts, ReservoirFacts
from firmware_mock.clinic import Clinic, Order
from firmware_mock.implant_record import Record, Row
from firmware_mock.physics.catheter import Catheter, Condition
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.infusion import Infusion
from firmware_mock.ports import Port
from firmware_mock.pump_parts import NO_RIG, pump_parts, simulated_model
from firmware_mock.scenario import ScenarioError
from firmware_mock.world import NS_PER_S, World, to_ns
from protocol import Alarm, EventCode, EventRecord, NakReason, Tone

SCENARIO_TABLES = {"implant", "pump", "reservoir", "catheter"}
SERIAL_NUMBER = "SIM-I-0001"
MOST_ROWS_AT_LEISURE = 400
HOURS_PER_DAY = 24.0
_S_PER_H = 3600.0
_DAY_NS = 86_400 * NS_PER_S
_LISTENS_NS = 2 * 3600 * NS_PER_S + 1
_UL_PER_ML = 1000.0


class Implant:
    """Built into a world with a scenario that has an `[implant]` table. `model` and `days` take the place of its own.

    Raises:
        ProfileError: the pump model's file is missing or wrong.
        ScenarioError: the scenario has no `[implant]`, has an unknown table or key, or a value out of range.
    """

    def __init__(self, world: World, *, model: str | None = None, days: float | None = None) -> None:
        scenario = world.scenario
        if "implant" not in scenario.tables:
            raise ScenarioError(
                f"{scenario.where}: has no [implant], so there is no pump in a body; "
                "it is the truth behind a rig: take thecabench run"
            )
        scenario.check_tables(SCENARIO_TABLES)
        facts = scenario.section("implant", ImplantFacts)
        effects = scenario.section("pump", PumpEffects)
        drug = scenario.section("reservoir", ReservoirFacts)
        self.catheter_facts = scenario.section("catheter", CatheterFacts)
        if days is not None and not 0.0 < days <= MOST_DAYS:
            raise ScenarioError(f"days = {days} must be above 0 and at most {MOST_DAYS:g}, a hundred years")
        named = ("model", model) if model is not None else (f"{scenario.where}: [implant] model", facts.model)
        profile = simulated_model(named[1], named[0], ScenarioError)
        self.world = world
        self.profile = profile
        self.scenario_days = facts.days
        self.days = facts.days if days is None else days
        self.starts_on = facts.date
        self.starts_utc_s = facts.starts_utc_s
        self.record = Record()
        self.parts, reservoir = pump_parts(world, profile, effects, NO_RIG)
        reservoir.concentration_ug_per_ml = drug.concentration_ug_per_ml
        temperature_c = profile.head_temperature_c + effects.head_temperature_offset_k
        curve = drug.curve(profile.reservoir_volume_ul, temperature_c)
        if curve is None and not effects.head_temperature_ripple_k:
            self.parts.head.longest_ns = _DAY_NS
        self._condition = self.catheter_facts.healthy()
        self.infusion = Infusion(
            world,
            self.parts.head,
            reservoir,
            curve,
            Catheter(self._condition, start_ns=world.now_ns),
            tubing_ul=profile.tubing_volume_ul,
            catheter_ul=self.catheter_facts.length_cm * profile.catheter_ul_per_cm,
            leak_ul_per_h_per_hpa=effects.leak_ul_per_h_per_hpa,
        )
        self.port = Port(world, "pump")
        self.firmware = self.parts.powered_up(
            world, self.port, serial_number=SERIAL_NUMBER, starts_utc_s=facts.starts_utc_s
        )
        self.clinic = Clinic(world, self.port, lambda text: self.note("clinic", text))
        self._inside = self.firmware.inside
        self._first_steps = self._last_steps = self.parts.motor.steps
        self._delivered_ul = 0.0
        self._row_due_ns: int | None = None
        self._last_row: Row | None = None
        self._sounds: dict[Alarm, tuple[Tone, float]] = {}
        self.infusion.on_cut = self._row_soon
        self.infusion.on_tip = self._tip_changed
        self.firmware.on_event = self._pump_event
        self._leisure_ns = max(to_ns(600.0), to_ns(86_400.0 * self.days / MOST_ROWS_AT_LEISURE))
        self._row()
        world.at(world.now_ns + self._leisure_ns, self._row_at_leisure)

    @property
    def utc_s(self) -> int:
        """UTC now, in seconds since 1970-01-01, by a good clock."""
        return self.starts_utc_s + self.world.now_ns // NS_PER_S

    @property
    def condition(self) -> Condition:
        """The catheter now."""
        return self._condition

    def run(self) -> None:
        """Let all days of the scenario pass, and close the world."""
        self.world.run_until(to_ns(86_400.0 * self.days))
        self._row()
        self.world.close()

    def note(self, who: str, text: str) -> None:
        """Note something that happens now."""
        self.record.note(self.world.monotonic(), who, text)
        self._row_soon()

    def change_catheter(self, text: str, condition: Condition) -> None:
        """From now on the catheter is in another condition."""
        self._condition = condition
        self.infusion.change_catheter(condition)
        self.note("body", text)

    def refill(
        self,
        *,
        volume_ul: float,
        concentration_ug_per_ml: float,
        pocketed_share: float,
        leaving_ul: float,
        order: Order | None,
    ) -> None:
        """Empty the reservoir, fill it, and have the clinic tell the pump, unless it forgets to."""
        out_ul = self.infusion.withdraw(leaving_ul)
        filling = self.infusion.inject(volume_ul, concentration_ug_per_ml, pocketed_share=pocketed_share)
        beside = f", {filling.pocketed_ul / _UL_PER_ML:g} mL of it beside the port" if filling.pocketed_ul else ""
        self.note(
            "body",
            f"{out_ul / _UL_PER_ML:.4g} mL withdrawn, {volume_ul / _UL_PER_ML:g} mL of "
            f"{concentration_ug_per_ml:g} ug/mL injected{beside}",
        )
        if order is not None:
            self.clinic.wants(order)

    def load_battery(self, extra_power_uw: float) -> None:
        """From now on something beside the pump draws a power."""
        self.parts.battery.load(self.world.now_ns, extra_power_uw)
        self.parts.motor.on_change()

    def grow_film(self, *, locked_pct: float, sag_mv: float) -> None:
        """From now on a film locks part of the battery's energy away and lowers its voltage."""
        self.note("body", f"battery film: {locked_pct:g} % of its energy locked away, {sag_mv:g} mV lower")
        self.parts.battery.grow_film(self.world.now_ns, locked_pct=locked_pct, sag_mv=sag_mv)
        self.parts.motor.on_change()

    def happened(self, text: str) -> None:
        """Note what a scenario has done to the pump."""
        self.note("body", text)

    def rot_memory(self, slots: int, off_s: float) -> None:
        """Power goes for a while, and so many slots of the memory decay meanwhile."""
        self.note("body", f"power goes, and {slots} of 2 slots of the memory decay")
        self.firmware.cut_power(off_s)
        self.firmware.rot(self.world.stream("implant.rot"), slots=slots)

    def _pump_event(self, event: EventRecord) -> None:
        name = event.code.name if isinstance(event.code, EventCode) else f"event {event.code}"
        self.note("pump", _said(name, event.argument))

    def _tip_changed(self, time_ns: int) -> None:
        at_tip = self.infusion.at_tip_ug_per_ml
        self.record.note(time_ns / NS_PER_S, "tip", f"{at_tip:g} ug/mL arrives at the tip")
        self._row_soon()

    def _row_at_leisure(self) -> None:
        self._row()
        self.world.at(self.world.now_ns + self._leisure_ns, self._row_at_leisure)

    def _row_soon(self) -> None:
        """Once all that happens at this instant has happened."""
        now_ns = self.world.now_ns
        if self._row_due_ns != now_ns:
            self._row_due_ns = now_ns
            self.world.at(now_ns, self._row_now)

    def _row_now(self) -> None:
        self._row_due_ns = None
        self._row()

    def _row(self) -> None:
        now_ns, infusion, inside = self.world.now_ns, self.infusion, self._inside
        infusion.settle()
        steps, step_volume_ul = self.parts.motor.steps, inside.nvram.memory.step_volume_nl * 1e-3
        self._delivered_ul += (steps - self._last_steps) * step_volume_ul
        self._last_steps = steps
        time_s, tip_ul = self.world.monotonic(), infusion.tip_ul(now_ns)
        alarms = inside.upkeep.alarms.active() if inside.power.is_on else Alarm(0)
        row = Row(
            time_s=time_s,
            mode=int(inside.therapy.mode),
            alarms=int(alarms),
            tone=self._listen(alarms),
            pump_on=int(inside.power.is_on),
            pump_rate_ul_per_h=inside.therapy.rate_ul_per_h if inside.power.is_on else 0.0,
            true_tip_flow_ul_per_h=self._flow_since_last_row(time_s, tip_ul),
            pump_delivered_ul=self._delivered_ul,
            true_pumped_ul=infusion.pumped_ul(now_ns),
            true_tip_ul=tip_ul,
            true_leaked_ul=infusion.leaked_ul(now_ns),
            true_stored_ul=infusion.stored_ul(now_ns),
            catheter_pressure_hpa=infusion.pressure_hpa(now_ns),
            pump_reservoir_ul=inside.accounts.reservoir_ul,
            true_reservoir_ul=infusion.contents_ul(now_ns),
            true_reservoir_ug_per_ml=infusion.reservoir.concentration_ug_per_ml,
            true_tip_ug_per_ml=infusion.at_tip_ug_per_ml,
            true_tip_ug=infusion.tip_ug,
            battery_mv=self.parts.battery.millivolts(now_ns),
            battery_left_pct=self.parts.battery.left_pct(now_ns),
        )
        self._last_row = row
        self.record.add(row)

    def _listen(self, alarms: Alarm) -> Tone:
        """The loudest tone that sounds now; each alarm's is noted as it begins, changes or falls silent."""
        now_ns, sounds = self.world.now_ns, dict[Alarm, tuple[Tone, float]]()
        heard_at_ns: dict[Alarm, int] = {}
        for heard in self.firmware.upkeep.tones(now_ns, now_ns + _LISTENS_NS) if alarms else ():
            first_ns = heard_at_ns.setdefault(heard.alarm, heard.at_ns)
            every_min = (heard.at_ns - first_ns) / (60 * NS_PER_S)
            if heard.alarm not in sounds or sounds[heard.alarm][1] == 0.0:
                sounds[heard.alarm] = heard.tone, every_min
        for alarm in self._sounds.keys() | sounds.keys():
            if sounds.get(alarm) != self._sounds.get(alarm):
                self.record.note(self.world.monotonic(), "pump", _sounding(alarm, sounds.get(alarm)))
        self._sounds = sounds
        return max((tone for tone, _ in sounds.values()), default=Tone.SILENT)

    def _flow_since_last_row(self, time_s: float, tip_ul: float) -> float:
        last = self._last_row
        if last is None:
            return 0.0
        if time_s == last.time_s:
            return last.true_tip_flow_ul_per_h
        return (tip_ul - last.true_tip_ul) / (time_s - last.time_s) * _S_PER_H


def _sounding(alarm: Alarm, sound: tuple[Tone, float] | None) -> str:
    if sound is None:
        return f"sounds no more: {alarm.name}"
    return f"sounds: {alarm.name}, {sound[0].name.lower()} tone every {sound[1]:g} min"


def _said(name: str, argument: int) -> str:
    """An event of the pump in words; alarms and reasons by their names."""
    if name == EventCode.PATIENT_BOLUS_REFUSED.name and argument in NakReason._value2member_map_:
        return f"{name} {NakReason(argument).name}"
    if name.startswith("ALARM_"):
        return f"{name} {' and '.join(alarm.name or '' for alarm in Alarm if alarm & argument)}"
    by_name = {alarm.name: int(alarm) for alarm in Alarm}
    return f"{name} {argument}" if argument and by_name.get(name) != argument else name
