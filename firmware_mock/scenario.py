"""Scenario files: the truth about a simulated rig that its rig file does not tell, parsed by the mock alone."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from protocol.shipped import find_text

T = TypeVar("T")


class ScenarioError(ValueError):
    """A scenario file is wrong; the message names file, key and cure."""


@dataclass(frozen=True)
class Scenario:
    """Tables by component (`[balance]`, `[vessel]`, `[pump]`, ...) and timed `[[events]]`."""

    name: str = "ideal"
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: tuple[dict[str, Any], ...] = ()

    @classmethod
    def load(cls, name_or_path: str | Path) -> Scenario:
        """A scenario by file path, or by the name of a shipped one.

        Raises:
            ScenarioError: there is no such file, or it is not TOML.
        """
        source, text = find_text(name_or_path, "scenarios")
        if text is None:
            raise ScenarioError(f"{source}: there is no such scenario file")
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ScenarioError(f"{source}: not valid TOML: {error}") from error
        events = tuple(tables.pop("events", ()))
        name = str(tables.pop("name", Path(source).stem))
        tables.pop("about", None)
        return cls(name, tables, events)

    def section(self, name: str, kind: type[T]) -> T:
        """The table of one component as the frozen dataclass `kind`; absent keys take its defaults, all at rest.

        Raises:
            ScenarioError: an unknown key, a value of the wrong type, or one that `kind` refuses.
        """
        table = self.tables.get(name, {})
        hints = get_type_hints(kind)
        known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
        values: dict[str, Any] = {}
        for key, value in table.items():
            if key not in known:
                keys = ", ".join(sorted(known))
                raise ScenarioError(f"scenario {self.name}: [{name}] has no key {key!r}; known: {keys}")
            wanted = hints[key]
            if wanted is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if wanted in (float, int, bool, str) and type(value) is not wanted:
                raise ScenarioError(f"scenario {self.name}: [{name}] {key} = {value!r} is not a {wanted.__name__}")
            if wanted is float and not isfinite(value):
                raise ScenarioError(f"scenario {self.name}: [{name}] {key} = {value} is not a finite number")
            values[key] = value
        try:
            return kind(**values)
        except ScenarioError as error:
            raise ScenarioError(f"scenario {self.name}: {error}") from None

    def check_tables(self, known: set[str]) -> None:
        """Refuse a table that no component reads.

        Raises:
            ScenarioError: an unknown table.
        """
        for name in self.tables:
            if name not in known:
                tables = ", ".join(sorted(known))
                raise ScenarioError(f"scenario {self.name}: no component reads [{name}]; known: {tables}")
