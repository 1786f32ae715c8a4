"""The stories and mutants of benchmarks/mutating/: benchmarks/ is no package."""

from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def mutating():
    """Imports a module of it by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        import_module("mutating.catalogue")
        yield lambda name: import_module(f"mutating.{name}")
