"""What must hold before and after a run: identities, due dates, balance settings, checklist, check weight."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from bench.errors import SetupRefused
from bench.rig import Rig
from driver.instruments import BalanceSettings

WEIGHT_READINGS = 5
LEAST_PRELOAD_DIVISIONS = 100
STOP_NOT_CONFIRMED = "STOP NOT CONFIRMED"


@dataclass(frozen=True, slots=True)
class Identity:
    """One device of the rig, as it names itself, with its certificate."""

    role: str
    maker_and_model: str
    serial_number: str
    software: str
    certificate: str
    due: str
    expired: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to the start checklist."""

    question: str
    yes: bool
    by: str


@dataclass(frozen=True, slots=True)
class CheckWeighing:
    """The check weight before or after, against its certificate."""

    when: str
    shown_mg: float
    off_mg: float
    tolerance_mg: float
    passed: bool


def identify(rig: Rig, settings: BalanceSettings) -> tuple[Identity, ...]:
    """Ask every device who it is, and hold the balance's settings; an expired certificate is noted, not refused.

    Raises:
        SetupRefused: a device is another one than the rig file says, or the balance is set so that it hides flow.
        DriverError: a device does not answer.
    """
    file, today = rig.file, rig.today()
    pump, balance, air = rig.pump.identity, rig.balance.identity(), rig.environment.identity()
    wrong = [
        f"{role} {what} is {found!r}, the rig file says {said!r}; correct the rig file or connect the right one"
        for role, what, found, said in (
            ("pump", "model", pump.model, rig.model.name),
            ("balance", "serial number", balance.serial_number, file.balance.serial_number),
            ("thermohygrometer", "serial number", air.serial_number, file.environment.serial_number),
        )
        if found != said
    ]
    wrong += _wrong_settings(settings)
    if wrong:
        raise SetupRefused("\n".join(wrong))
    thermometer = file.pump.head_thermometer

    def identity(role: str, name: str, serial: str, software: str, certificate: str, due: datetime.date) -> Identity:
        return Identity(role, name, serial, software, certificate, due.isoformat(), due < today)

    return (
        identity(
            "pump", pump.model, pump.serial_number, pump.firmware_version, thermometer.certificate, thermometer.due
        ),
        identity(
            "balance", f"{file.balance.make} {balance.type}", balance.serial_number, balance.software,
            file.balance.certificate.number, file.balance.certificate.due,
        ),
        identity(
            "thermohygrometer", f"{file.environment.make} {file.environment.model}", air.serial_number, air.software,
            file.environment.certificate.number, file.environment.certificate.due,
        ),
        identity(
            "check weight", f"{file.check_weight.conventional_mass_g:g} g", "", "",
            file.check_weight.certificate, file.check_weight.due,
        ),
    )  # fmt: skip


def check_preload(rig: Rig, shown_mg: float) -> None:
    """Refuse a pan that shows nearly nothing: automatic zeroing, if any is left, would swallow the flow.

    Raises:
        SetupRefused: the balance shows less than 100 divisions.
    """
    least_mg = LEAST_PRELOAD_DIVISIONS * rig.file.balance.readability_mg
    if shown_mg < least_mg:
        raise SetupRefused(
            f"the balance shows {shown_mg:.2f} mg; preload the pan to {least_mg:g} mg or more and do not tare it, "
            "or automatic zeroing may swallow the flow"
        )


def ask_checklist(rig: Rig, settings: BalanceSettings) -> tuple[Answer, ...]:
    """Put the start checklist to the operator; the answers are part of the result.

    Raises:
        SetupRefused: the first question answered no.
    """
    answers = []
    for key, question in _checklist(rig, settings):
        answer = rig.operator.confirm(key, question)
        answers.append(Answer(question, answer.yes, answer.by))
        if not answer.yes:
            raise SetupRefused(f"the start checklist was not confirmed: {question}")
    return tuple(answers)


def weigh_check_weight(rig: Rig, when: str, weigh: Callable[[int], float]) -> CheckWeighing:
    """Put the check weight on beside the vessel, and hold the difference against its certificate."""
    weight = rig.file.check_weight
    without_mg = weigh(WEIGHT_READINGS)
    rig.operator.set_check_weight(on_pan=True)
    with_mg = weigh(WEIGHT_READINGS)
    rig.operator.set_check_weight(on_pan=False)
    without_after_mg = weigh(WEIGHT_READINGS)
    shown_mg = with_mg - (without_mg + without_after_mg) / 2.0
    off_mg = shown_mg - weight.conventional_mass_g * 1000.0
    return CheckWeighing(
        when, shown_mg, off_mg, weight.tolerance_mg, -weight.tolerance_mg <= off_mg <= weight.tolerance_mg
    )


def stop_pump(rig: Rig) -> str:
    """Stop the pump whatever happened, and say in words how it was left."""
    try:
        stopped = rig.pump.stop()
    except Exception as error:  # whatever it is, the run must go on to say that the pump may be running
        return f"{STOP_NOT_CONFIRMED}: {error}"
    fault = f"; {stopped.journal_fault}" if stopped.journal_fault else ""
    return f"stopped, confirmed at {stopped.steps} steps{fault}"


def driver_notices(rig: Rig) -> tuple[str, ...]:
    """What the driver has to say beside its answers: a journal that was torn or cannot be written, doses in doubt."""
    pump = rig.pump
    fault = [str(pump.journal_fault)] if pump.journal_fault is not None else []
    journal = pump.journal.notices if pump.journal is not None else []
    doubt = [f"dose {id_} is uncertain and counts as delivered" for id_ in pump.uncertain_doses]
    return (*fault, *journal, *doubt)


def _wrong_settings(settings: BalanceSettings) -> list[str]:
    wrong = []
    if settings.auto_zero:
        wrong.append("the balance's automatic zeroing is on and may swallow the flow; switch it off (MT-SICS: M03 0)")
    if settings.auto_adjustment:
        wrong.append(
            "the balance's automatic adjustment is on and would step in the run; switch it off (MT-SICS: C0 0 0)"
        )
    return wrong


def _checklist(rig: Rig, settings: BalanceSettings) -> list[tuple[str, str]]:
    file = rig.file
    outlet = {
        "immersed": f"The {file.outlet.needle_diameter_mm:g} mm needle is straight, upright, immersed, off the wall.",
        "wick": "The wick touches the liquid and is wet.",
        "drop": "The outlet hangs free above the liquid.",
    }[file.outlet.kind]
    questions = [
        ("bench-only", "The pump is on the bench and connected to no patient."),
        ("filled", f"The reservoir is filled with {file.liquid.name}; the line is primed and free of bubbles."),
        ("outlet", outlet),
        ("vessel", f"The vessel holds {file.vessel.contents_ml:g} mL; cover: {file.vessel.cover}."),
        ("draught", "The draught shield is closed, the table is level and free of vibration."),
        ("standby", "The balance's standby and screen saver are off."),
        ("head", f"The pump head is held at {rig.model.head_temperature_c:g} °C."),
    ]
    if settings.auto_zero is None:
        questions.append(("auto-zero", "The balance's automatic zeroing is off."))
    if settings.auto_adjustment is None:
        questions.append(("auto-adjustment", "The balance's automatic adjustment is off."))
    if not file.tubing.hours:
        questions.append(("tubing", "The new tubing has been run in."))
    return questions
