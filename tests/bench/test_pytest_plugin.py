"""The pytest plugin: fixtures on a simulated rig, and what runs where a real one is named."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest

def test_simulated(rig, pump, balance, world):
    begin = rig.clock.monotonic()
    rig.wait(begin + 3600.0)
    assert rig.clock.monotonic() >= begin + 3600.0 - 1e-6
    assert pump.status().rate_ul_per_h == 0.0
    assert balance.read().mass_mg > 0.0
    assert world.monotonic() == 0.0

@pytest.mark.hardware
def test_reads():
    pass

@pytest.mark.hardware
@pytest.mark.moves_fluid
def test_doses():
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(TESTS)
    return pytester


def test_without_a_rig_hardware_tests_are_left_out_and_the_fixtures_are_simulated(project: pytest.Pytester) -> None:
    project.runpytest_inprocess().assert_outcomes(passed=1, deselected=2)


def test_with_a_rig_only_hardware_tests_run_and_none_that_moves_fluid(project: pytest.Pytester) -> None:
    project.runpytest_inprocess("--rig", "some-rig.toml").assert_outcomes(passed=1, deselected=2)


def test_fluid_is_moved_only_when_dosing_was_allowed(project: pytest.Pytester) -> None:
    project.runpytest_inprocess("--rig", "some-rig.toml", "--may-dose").assert_outcomes(passed=2, deselected=1)
