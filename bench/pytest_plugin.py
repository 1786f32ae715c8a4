"""pytest on a rig: fixtures `world`, `rig`, `pump`, `balance`, and the options `--rig` and `--may-dose`.

Without `--rig` the fixtures give a simulated rig in virtual time, and tests marked `hardware` are left out. With it
only those run, on the rig of that file, and those marked `moves_fluid` among them only with `--may-dose`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.rig import Rig
    from driver import Pump
    from driver.instruments import Balance
    from firmware_mock import World

SIMULATED_RIG = "sim"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("thecabench")
    group.addoption(
        "--rig", default=None, metavar="FILE", help="run the tests marked `hardware` on the rig of this file"
    )
    group.addoption("--may-dose", action="store_true", help="let tests marked `moves_fluid` move fluid on that rig")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "hardware: runs on the real rig named by --rig, and only there")
    config.addinivalue_line("markers", "moves_fluid: moves fluid on a real rig; needs --may-dose as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    on_rig = config.getoption("--rig") is not None
    may_dose = bool(config.getoption("--may-dose"))
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        hardware = item.get_closest_marker("hardware") is not None
        fluid = item.get_closest_marker("moves_fluid") is not None
        (kept if hardware == on_rig and (may_dose or not (on_rig and fluid)) else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.fixture
def world() -> Iterator[World]:
    """An empty world in virtual time, closed at the end."""
    from bench.simulation import new_world

    world = new_world(seed=1)
    yield world
    world.close()


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """The rig of `--rig`, else a simulated one; whatever was started on it is stopped at the end."""
    from bench.rig import open_rig

    with open_rig(request.config.getoption("--rig") or SIMULATED_RIG) as opened:
        yield opened


@pytest.fixture
def pump(rig: Rig) -> Pump:
    """The rig's pump."""
    return rig.pump


@pytest.fixture
def balance(rig: Rig) -> Balance:
    """The rig's balance."""
    return rig.balance
