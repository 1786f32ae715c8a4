"""Files of data: given by a path, or by the bare name of one shipped under `hw_configs`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

SUFFIX = ".toml"


def shipped_names(folder: str) -> list[str]:
    """Names of the files shipped in a folder of `hw_configs`."""
    entries = resources.files("hw_configs").joinpath(folder).iterdir()
    return sorted(entry.name.removesuffix(SUFFIX) for entry in entries if entry.name.endswith(SUFFIX))


def find_text(name_or_path: str | Path, folder: str) -> tuple[str, str | None]:
    """How messages should call a file, and its text, None where there is none."""
    path = Path(name_or_path)
    if path.suffix == SUFFIX:
        return str(path), path.read_text(encoding="utf-8") if path.is_file() else None
    resource = resources.files("hw_configs").joinpath(folder, f"{name_or_path}{SUFFIX}")
    text = resource.read_text(encoding="utf-8") if resource.is_file() else None
    return f"hw_configs/{folder}/{name_or_path}{SUFFIX}", text
