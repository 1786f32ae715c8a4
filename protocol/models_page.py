"""The shipped pump models as tables for people: `python -m protocol.models_page` prints docs/models.md."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.profile import ModelProfile, load_model, model_names

_PREAMBLE = """\
# Pump models

Printed by `python -m protocol.models_page` from `hw_configs/models/*.toml`: change those, not this page. They are
design models of their classes, no maker's device, and limits come from them alone. **Never for clinical use.**

Confidence: *published* figures have a source anybody can read; *unconfirmed* ones come from memory or at second hand;
*design* ones are ours. A `population` accuracy is a claim on a share of all units, which no single unit can be held
against. A rig file names a model, or the path of a `.toml` file of one's own: a missing, unknown, impossible or
contradictory figure is named with its cure, all of them at once. Only peristaltic models can be simulated.
"""


def models_page() -> str:
    """The models, and every figure with its source; models that share a figure and its source share a row."""
    profiles = [load_model(name) for name in model_names()]
    return "\n".join(
        [
            _PREAMBLE,
            *_table(
                ("Model", "What", "Kind", "Metering", "Power", "Accuracy is of a"),
                (
                    (f"`{each.name}`", each.title, each.kind, each.metering, each.power, each.accuracy_claim)
                    for each in profiles
                ),
            ),
            "",
            "## Figures",
            "",
            *_table(("Figure", "Value", "Models", "Confidence", "Source"), _figures(profiles)),
            "",
        ]
    )


def _figures(profiles: list[ModelProfile]) -> Iterable[tuple[str, ...]]:
    keys = sorted({key for profile in profiles for key in profile.figures})
    for key in keys:
        shared: dict[tuple[str, str, str], list[str]] = {}
        for profile in profiles:
            if (figure := profile.figures.get(key)) is not None:
                shared.setdefault((f"{figure.value:,.12g}", figure.confidence, figure.source), []).append(profile.name)
        for (value, confidence, source), names in shared.items():
            yield f"`{key}`", value, ", ".join(names), confidence, source


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


if __name__ == "__main__":
    print(models_page(), end="")
