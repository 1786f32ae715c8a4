"""The safety properties: what must hold, who asks for it, and what of it the firmware can know.

The pump has an encoder on its rotor and a crystal, no sensor of pressure or flow: what neither shows it cannot know.
"""

from __future__ import annotations

from dataclasses import dataclass

ISSUE = "issue 5, safety properties"
MODEL = "model profile"
DOSING = "design.md, Dosing is exactly once"
ALARMS = "domain.md, alarms"
FIELD = "domain.md, what goes wrong in the field"


@dataclass(frozen=True, slots=True)
class Property:
    """`identifier` is for good; `bound` is how far the firmware can know, with the figures of it."""

    identifier: str
    sentence: str
    source: str
    bound: str


PROPERTIES = (
    Property(
        "SP-01",
        "No patient-activated bolus begins within the lockout of the one before.",
        f"{ISSUE}; limits as committed",
        "by its own clock; a start that power interrupted counts",
    ),
    Property(
        "SP-02",
        "When a patient-activated bolus is given, no sliding window holds more than its limit, basal included.",
        f"{ISSUE}; limits as committed",
        "by counted steps, no more than the timer asked for; a clinician's bolus counts and is not limited",
    ),
    Property(
        "SP-03",
        "Delivered is at most commanded·(1 + x) + one stroke, x the accuracy limit of the model.",
        f"{ISSUE}; {MODEL} accuracy_limit_pct",
        "steps of the rotor at the calibrated step volume; what a worn or wrong head moves with them is not known",
    ),
    Property(
        "SP-04",
        "Delivered is at least commanded·(1 − x) − one stroke, or an alarm is on.",
        f"{ISSUE}; {MODEL} accuracy_limit_pct",
        "as SP-03; while the rotor does not follow the timer SP-13, SP-14 and SP-19 hold instead",
    ),
    Property(
        "SP-05",
        "The motor is never driven above the highest rate of the model, whatever runs on top of what.",
        f"{ISSUE}; {MODEL} rate_max_ul_per_h",
        "by the period of the step timer; 1 % is left to the crystal",
    ),
    Property(
        "SP-06",
        "The same command id is delivered at most once; ids that begin only rise.",
        DOSING,
        "over resets and losses of power, for as long as the memory is not lost",
    ),
    Property(
        "SP-07",
        "The reported volume is the rotor's steps at the calibrated step volume, within one step.",
        ISSUE,
        "since boot; steps that may have been made before a loss of power count in the reservoir alone",
    ),
    Property(
        "SP-08",
        "Reported volumes and step counts never fall within a boot and are never negative.",
        ISSUE,
        "delivered begins again at 0 with each boot, the step counter never",
    ),
    Property(
        "SP-09",
        "Steps due since a stall began are told as missing once it is detected.",
        f"{ISSUE}; {FIELD}",
        "timer against encoder, within two steps, one a start of the motor, and those made too many in the run",
    ),
    Property(
        "SP-10",
        "A value out of range, NaN or infinite is refused; what is refused changes nothing.",
        f"{ISSUE}; {MODEL} limits",
        "every float of a PROPOSE",
    ),
    Property(
        "SP-11",
        "A change that is not confirmed in time is never made, and none without its own unused token.",
        f"{ISSUE}; docs/protocol.md, tokens",
        "30 s after the proposal, link time",
    ),
    Property(
        "SP-12",
        "No limit of the model is exceeded by what is confirmed or stored.",
        f"{ISSUE}; {MODEL} limits",
        "rate, bolus, filling and step volume in memory and in canonical values",
    ),
    Property(
        "SP-13",
        "A rotor that makes too many steps is an alarm within the model's time.",
        ISSUE,
        "encoder against timer beyond the accuracy limit; never flow",
    ),
    Property(
        "SP-14",
        "A rotor that loses steps is an alarm within the model's time.",
        ISSUE,
        "encoder against timer beyond the accuracy limit; never flow",
    ),
    Property(
        "SP-15",
        "STOP finishes the step under way, then the motor stands until something new is committed.",
        f"{ISSUE}; docs/protocol.md, STOP",
        "at most one more step",
    ),
    Property(
        "SP-16",
        "At the end of the programmed volume the motor stands, with an alarm.",
        ISSUE,
        "by programmed volume alone: over- and under-fill are not known; within two steps; SP-25 in a hang",
    ),
    Property(
        "SP-17",
        "Low reservoir warns, and says so in log and status.",
        f"{ISSUE}; TGA RC-2016-RN-01458-1",
        "by programmed volume alone, within one step of reservoir_alarm_ul: silent on over-infusion",
    ),
    Property(
        "SP-18",
        "The rotor never turns back under a single fault, so nothing flows back through it.",
        ISSUE,
        "the rotor occludes; a leak past it against its pressure is physics, not known",
    ),
    Property(
        "SP-19",
        "An encoder that sees no step is a stall alarm after two checks at most.",
        f"{ISSUE}; {MODEL} stall_check_s",
        "from the last step seen, or the start of the run; not while there is no power",
    ),
    Property(
        "SP-20",
        "A stalled motor never counts volume: steps counted are steps made.",
        ISSUE,
        "while there is power; a loss of it leaves what was reserved in doubt",
    ),
    Property(
        "SP-21",
        "A priming bolus makes the steps that were confirmed and no more, within the bolus limit.",
        f"{ISSUE}; {MODEL} bolus_max_ul",
        "within one step; while the rotor does not follow the timer SP-13 holds instead",
    ),
    Property("SP-22", "There is one priming bolus for each filling.", ISSUE, "begun counts, whatever came of it"),
    Property(
        "SP-23",
        "Damaged memory is not believed: the pump stands with an alarm, and nothing is made up.",
        f"{ISSUE}; design.md, two slots",
        "damage that CRC-32C shows, in both slots; with one whole slot that one holds",
    ),
    Property(
        "SP-24",
        "While a self-test is failed there is no infusion.",
        ISSUE,
        "what the items of the test can find",
    ),
    Property(
        "SP-25",
        "When the main loop hangs, the motor is off within the watchdog's time and makes no step not reserved.",
        ISSUE,
        "1 s",
    ),
    Property(
        "SP-26",
        "A bolus that a reset or a brown-out ends is recorded with what was given.",
        f"{ISSUE}; {DOSING}",
        "between two bounds, reserved_steps apart at most",
    ),
    Property(
        "SP-27", "A bolus that a reset or a brown-out ends is never gone on with.", f"{ISSUE}; {DOSING}", "always"
    ),
    Property(
        "SP-28",
        "Low battery is told before the battery cuts the pump off.",
        ISSUE,
        "an hour before, by energy drawn and voltage; a loss of power that is no flat battery comes without warning",
    ),
    Property(
        "SP-29",
        "A magnet's stall ends in resumed infusion or an alarm.",
        f"{ISSUE}; {FIELD}",
        "by encoder: resumed within two checks, or MOTOR_STALL",
    ),
    Property(
        "SP-30",
        "Telemetry mode ends in resumed infusion or an alarm within the model's time.",
        f"{ISSUE}; {FIELD}",
        "by its own clock",
    ),
    Property(
        "SP-31",
        "The kind of an alarm decides its tone: one or two, and how often.",
        f"{ISSUE}; {ALARMS}; {MODEL} sounder",
        "what the sounder is told; not whether anybody hears",
    ),
    Property(
        "SP-32",
        "The kind of an alarm decides the rate: some stop the motor, those that only warn change nothing.",
        f"{ISSUE}; {ALARMS}",
        "stopping: empty, end of service, memory, self-test, programming interrupted, not resumed",
    ),
    Property(
        "SP-33",
        "The tone of a silenced alarm returns when its time is over and the condition is not.",
        ISSUE,
        "by its own clock; a reset ends the silence",
    ),
    Property(
        "SP-34",
        "An alarm that comes up again and again, or that nobody attends to, becomes critical.",
        ISSUE,
        "through resets, by the model's count and time; one just before a loss of power or a reset may not count",
    ),
    Property(
        "SP-35",
        "An alarm and its acknowledgement are in the log before the acknowledgement is answered.",
        ISSUE,
        "alarms with an event of their own",
    ),
    Property(
        "SP-36",
        "Time stamps go on within a boot and boots are counted on; no counter rolls over.",
        ISSUE,
        "as told and as logged; a record that decayed is no witness",
    ),
    Property(
        "SP-37",
        "A pump that stands for longer than the model's time warns.",
        f"{ISSUE}; {MODEL} stopped_alarm_h",
        "by its own clock, 0.2 % either way, since the last command ended",
    ),
    Property(
        "SP-38",
        "Standing for longer than 48 h is a critical alarm.",
        f"{ISSUE}; professional MRI guideline",
        "as SP-37",
    ),
    Property(
        "SP-39",
        "Silence or loss of the link never starts, speeds up or repeats a delivery.",
        ISSUE,
        "the motor turns for what was committed, at the rate confirmed at most",
    ),
    Property(
        "SP-40",
        "Whatever is received, the motor is driven as committed and makes the steps of its timer.",
        ISSUE,
        "within one step between two orders to the motor",
    ),
    Property(
        "SP-41",
        "A change of daylight saving neither doubles nor drops a flex step: the step in force is that of local time.",
        f"{ISSUE}; {FIELD}",
        "by the therapy clock as set; nothing is made up for",
    ),
    Property(
        "SP-42",
        "Programming that power interrupts leaves the pump stopped, with an alarm.",
        f"{ISSUE}; {FIELD}",
        "a therapy whose COMMIT was not written to its end",
    ),
)
