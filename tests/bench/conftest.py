"""Rigs and runs for the bench's tests: the shipped simulated rig, with facts or truths changed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

Replacements = dict[str, str]


def shipped_text(folder: str, name: str) -> str:
    return (resources.files("hw_configs") / folder / f"{name}.toml").read_text(encoding="utf-8")


def replaced(text: str, replacements: Replacements) -> str:
    for find, put in replacements.items():
        assert find in text, find
        text = text.replace(find, put)
    return text


@pytest.fixture
def rig_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes sim.toml with replacements; `truth` changes its scenario, `events` is TOML added to that."""

    def write(facts: Replacements | None = None, *, truth: Replacements | None = None, events: str = "") -> Path:
        text = replaced(shipped_text("rigs", "sim"), facts or {})
        if truth or events:
            scenario = replaced(shipped_text("scenarios", "good-laboratory"), truth or {}) + "\n" + events
            (tmp_path / "truth.toml").write_text(scenario, encoding="utf-8")
            text = text.replace('scenario = "good-laboratory"', 'scenario = "truth.toml"')
        path = tmp_path / "rig.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
