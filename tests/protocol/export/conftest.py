"""What the export tests share: the C compiler, and the page that is checked in."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.export import FORMATS

Gcc = Callable[..., None]


@pytest.fixture(scope="session")
def gcc() -> Gcc:
    """Runs gcc as C11 with all warnings as errors; the test is skipped where there is none."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed: the C header was not compiled (apt-get install gcc)")

    def run(*arguments: str | Path) -> None:
        command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture
def header(tmp_path: Path) -> Path:
    """The exported C header as a file."""
    path = tmp_path / "theca_protocol.h"
    path.write_text(FORMATS["c-header"](), encoding="utf-8")
    return path
