"""TOML files checked against a pydantic model: every fault at once, each with file, key and cure."""

from __future__ import annotations

import difflib
import tomllib
from importlib import resources
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails


class FileError(ValueError):
    """A file cannot be used; the message has one line for each fault."""


class Table(BaseModel):
    """A table that knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


ModelT = TypeVar("ModelT", bound=Table)


def find(name_or_path: str | Path, *, shipped_in: str) -> tuple[str, str]:
    """Name and text of a file given by its path, or by the bare name of one shipped under `hw_configs`.

    Raises:
        FileError: there is no such file.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise FileError(f"{path}: there is no such file; shipped ones go by name: {', '.join(shipped(shipped_in))}")
        return str(path), path.read_text(encoding="utf-8")
    resource = resources.files("hw_configs") / shipped_in / f"{name_or_path}.toml"
    if not resource.is_file():
        raise FileError(
            f"{name_or_path}: neither a .toml file nor one of the shipped: {', '.join(shipped(shipped_in))}"
        )
    return f"hw_configs/{shipped_in}/{name_or_path}.toml", resource.read_text(encoding="utf-8")


def shipped(folder: str) -> list[str]:
    """Names of the files shipped in a folder of `hw_configs`."""
    return sorted(
        item.name.removesuffix(".toml")
        for item in (resources.files("hw_configs") / folder).iterdir()
        if item.name.endswith(".toml")
    )


def parse(kind: type[ModelT], text: str, source: str) -> ModelT:
    """Parse and validate; `source` names the file in messages.

    Raises:
        FileError: not TOML, or any fault in it.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{source}: not valid TOML: {error}") from error
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        faults = [f"{source}: {_sentence(kind, fault)}" for fault in error.errors()]
        raise FileError("\n".join(faults)) from error


def _sentence(kind: type[Table], fault: ErrorDetails) -> str:
    *tables, key = [str(part) for part in fault["loc"]] or [""]
    where = f"[{'.'.join(tables)}] {key}" if tables else key
    if fault["type"] == "extra_forbidden":
        known = _keys(kind, tables)
        close = difflib.get_close_matches(key, known, n=1)
        cure = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
        return f"{where}: unknown key; {cure}"
    if fault["type"] == "missing":
        return f"{where}: missing; add it"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"{where} = {fault['input']!r}: {message[0].lower()}{message[1:]}"


def _keys(kind: type[Table], tables: list[str]) -> list[str]:
    current: type[BaseModel] = kind
    for table in tables:
        field = current.model_fields.get(table)
        if field is None:
            break
        for candidate in (field.annotation, *get_args(field.annotation)):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                current = candidate
    return list(current.model_fields)
