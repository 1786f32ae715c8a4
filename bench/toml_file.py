"""TOML files checked against a pydantic model: every fault at once, each with file, key and cure."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from protocol.shipped import find_text, shipped_names


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
    source, text = find_text(name_or_path, shipped_in)
    if text is None:
        known = ", ".join(shipped_names(shipped_in))
        raise FileError(f"{source}: there is no such file; shipped ones go by name: {known}")
    return source, text


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
