"""A simulated life as text for people: when what happened, what arrived at the tip, and what had to be seen."""

from __future__ import annotations

from collections import Counter

from bench.simulate.life import NOTICE, S_PER_DAY, Breakage, Life, Note

MOST_OF_A_KIND = 12


def events_text(life: Life) -> str:
    """The whole page, lines ending with newlines."""
    lines = [
        NOTICE,
        f"Scenario {life.scenario}, {life.model}, {life.days:g} days, seed {life.seed}",
        f"Day 0 is {life.starts_on}, times of day are UTC",
        "",
    ]
    lines += [life.about, ""] if life.about else []
    shown, left_out = _worth_showing(life.notes)
    lines += [f"{when(note.time_s):>16}  {note.who:<6}  {note.text}" for note in shown]
    lines += [f"{'':>16}  {'':<6}  and {times} more times: {kind}" for kind, times in left_out.items()]
    lines += ["", *_totals(life), *(_broken(breakage, life) for breakage in life.breakages)]
    for outcome in life.outcomes:
        mark = "seen    " if outcome.seen else "NOT SEEN"
        lines.append(f"{mark}  {outcome.expected}" + ("" if outcome.seen else f" (found: {outcome.found})"))
    return "\n".join([*lines, NOTICE, ""])


def _worth_showing(notes: tuple[Note, ...]) -> tuple[list[Note], Counter[str]]:
    """What comes again and again is shown so often, then counted."""
    seen: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    shown = []
    for note in notes:
        kind = _kind(note)
        seen[kind] += 1
        if seen[kind] <= MOST_OF_A_KIND:
            shown.append(note)
        else:
            left_out[kind] += 1
    return shown, left_out


def _kind(note: Note) -> str:
    """Notes that differ in a number alone are of a kind."""
    return f"{note.who} " + " ".join("…" if word[:1].isdigit() else word for word in note.text.split())


def _totals(life: Life) -> list[str]:
    ml = {name: f"{1e-3 * float(values[-1]):.4f} mL" for name, values in life.columns.items()}
    broken = sum(breakage.first_s is not None for breakage in life.breakages)
    tip_ug, battery_pct = (float(life.columns[name][-1]) for name in ("true_tip_ug", "battery_left_pct"))
    return [
        f"Delivered     {ml['pump_delivered_ul']} by the pump's account, {ml['true_pumped_ul']} in truth",
        f"At the tip    {ml['true_tip_ul']} with {tip_ug:.4g} ug; {ml['true_leaked_ul']} left on the way",
        f"Reservoir     {ml['pump_reservoir_ul']} by the pump's account, {ml['true_reservoir_ul']} in truth",
        f"Battery       {battery_pct:.1f} % left",
        f"Safety        {life.properties_watched - broken} of {life.properties_watched} properties held",
        f"Conservation  nothing lost or made up within {life.conservation_error:.1e} of what was moved",
    ]


def _broken(breakage: Breakage, life: Life) -> str:
    """What is not as the scenario says stands out in a run that is its own."""
    shown = str.upper if life.is_its_own and not breakage.as_said else str
    if breakage.first_s is None:
        return f"{shown('held'):<8}  {breakage.identifier}, which the scenario says is broken: {breakage.why}"
    begins = f"{shown('broken'):<8}  {breakage.identifier} from {when(breakage.first_s)} on"
    if breakage.why:
        return f"{begins}, as the scenario says: {breakage.why}"
    return f"{begins}: {breakage.sentence} Found: {breakage.how}"


def when(time_s: float) -> str:
    """Day and time of day."""
    days, rest_s = divmod(round(time_s), int(S_PER_DAY))
    return f"day {days} {rest_s // 3600:02d}:{rest_s // 60 % 60:02d}:{rest_s % 60:02d}"
