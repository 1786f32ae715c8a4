"""Scenario files: the truth about a simulated rig that its rig file does not tell, parsed by the mock alone."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from protocol.shipped import SUFFIX, find_text, shipped_names

T = TypeVar("T")


class ScenarioError(ValueError):
    """A scenario file is wrong; the message names file, key and cure."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A safety property that a scenario breaks, by its identifier, and why nothing can hold it there."""

    property: str
    why: str


@dataclass(frozen=True)
class Scenario:
    """Tables by component (`[balance]`, `[vessel]`, `[pump]`, ...) and timed `[[events]]`.

    `sources` say where its figures are from, `breaks` which safety properties fail in it, `expected` what must be seen.
    `file` is what it was read from, empty for one made in a script.
    """

    name: str = "ideal"
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: tuple[dict[str, Any], ...] = ()
    file: str = ""
    about: str = ""
    sources: tuple[str, ...] = ()
    breaks: tuple[Breach, ...] = ()
    expected: tuple[dict[str, Any], ...] = ()

    @property
    def where(self) -> str:
        """How messages call it."""
        return f"{self.file}: scenario {self.name}" if self.file else f"scenario {self.name}"

    @classmethod
    def load(cls, name_or_path: str | Path) -> Scenario:
        """A scenario by file path, or by the name of a shipped one.

        Raises:
            ScenarioError: there is no such file, it is not TOML, or one of its own keys is no such thing.
        """
        try:
            source, text = find_text(name_or_path, "scenarios")
        except UnicodeDecodeError as error:
            raise ScenarioError(f"{name_or_path}: not valid TOML: {error}") from error
        if text is None:
            raise ScenarioError(f"{source}: there is no such scenario file{_cure(name_or_path)}")
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ScenarioError(f"{source}: not valid TOML: {error}") from error
        name = str(tables.pop("name", Path(source).stem))
        return cls(
            name,
            file=source,
            events=_listed(source, tables, "events", dict, "a list of [[events]]"),
            about=str(tables.pop("about", "")).strip(),
            sources=_listed(source, tables, "sources", str, "a list of texts"),
            breaks=tuple(
                _breach(source, entry) for entry in _listed(source, tables, "breaks", dict, "a list of tables")
            ),
            expected=_listed(source, tables, "expected", dict, "a list of [[expected]]"),
            tables=_only_tables(source, tables),
        )

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
                raise ScenarioError(f"{self.where}: [{name}] has no key {key!r}; known: {keys}")
            wanted = hints[key]
            if wanted is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if wanted in (float, int, bool, str) and type(value) is not wanted:
                raise ScenarioError(f"{self.where}: [{name}] {key} = {value!r} is not a {wanted.__name__}")
            if wanted is float and not isfinite(value):
                raise ScenarioError(f"{self.where}: [{name}] {key} = {value} is not a finite number")
            values[key] = value
        try:
            return kind(**values)
        except ScenarioError as error:
            raise ScenarioError(f"{self.where}: {error}") from None

    def check_tables(self, known: set[str]) -> None:
        """Refuse a table that no component reads.

        Raises:
            ScenarioError: an unknown table.
        """
        for name in self.tables:
            if name not in known:
                tables = ", ".join(sorted(known))
                raise ScenarioError(f"{self.where}: no component reads [{name}]; known: {tables}")


def _cure(name_or_path: str | Path) -> str:
    """What might have been meant by a name that is not shipped; nothing more can be said of a path."""
    if Path(name_or_path).suffix == SUFFIX:
        return ""
    names = shipped_names("scenarios")
    near = get_close_matches(str(name_or_path), names)
    return (
        f"; nearest: {', '.join(near)}" if near else f"; give the path of a {SUFFIX} file, or one of {', '.join(names)}"
    )


def _listed(source: str, tables: dict[str, Any], key: str, kind: type[T], wanted: str) -> tuple[T, ...]:
    value = tables.pop(key, [])
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise ScenarioError(f"{source}: {key} = {value!r} must be {wanted}")
    return tuple(value)


def _breach(source: str, entry: dict[str, Any]) -> Breach:
    if set(entry) != {"property", "why"} or not all(isinstance(text, str) and text for text in entry.values()):
        raise ScenarioError(f'{source}: breaks has {entry!r}; each is {{property = "SP-…", why = "…"}}')
    return Breach(entry["property"], entry["why"])


def _only_tables(source: str, tables: dict[str, Any]) -> dict[str, dict[str, Any]]:
    for key, value in tables.items():
        if not isinstance(value, dict):
            raise ScenarioError(
                f"{source}: {key} = {value!r} is no key of a scenario; "
                "known: about, breaks, events, expected, name, sources, and tables"
            )
    return tables
