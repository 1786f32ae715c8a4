"""The head's thermostat and the thermometer that the pump reads it with."""

from statistics import fmean, stdev

import pytest

from firmware_mock import World
from firmware_mock.physics.certificates import RigFactMissing
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.thermostat import DAY_NS, HeadThermometer, Thermostat


def rig_with(standard_uncertainty_k):
    return {"pump": {"head_thermometer": {"standard_uncertainty_k": standard_uncertainty_k}}}


def test_an_ideal_thermostat_holds_the_set_point():
    thermostat = Thermostat(World(), 37.0, PumpEffects())
    assert {thermostat.temperature_c(t_ns) for t_ns in range(0, DAY_NS, DAY_NS // 50)} == {37.0}


def test_ripple_swings_once_a_day_around_the_offset_set_point():
    effects = PumpEffects(head_temperature_offset_k=0.2, head_temperature_ripple_k=0.05)
    thermostat = Thermostat(World(), 37.0, effects)
    course = [thermostat.temperature_c(t_ns) for t_ns in range(0, DAY_NS, DAY_NS // 1000)]
    assert fmean(course) == pytest.approx(37.2, abs=1e-6)
    assert max(course) == pytest.approx(37.25, abs=1e-5)
    assert min(course) == pytest.approx(37.15, abs=1e-5)
    assert thermostat.temperature_c(DAY_NS + 5) == thermostat.temperature_c(5)


def test_the_thermometer_errs_by_what_its_certificate_allows():
    def reading(seed):
        world = World(seed=seed)
        return HeadThermometer(world, Thermostat(world, 37.0, PumpEffects()), rig_with(0.1)).reading_c(0)

    readings = [reading(seed) for seed in range(300)]
    assert reading(3) == readings[3]
    assert fmean(readings) == pytest.approx(37.0, abs=0.02)
    assert stdev(readings) == pytest.approx(0.1, abs=0.015)


def test_the_thermometer_shows_hundredths():
    world = World()
    thermostat = Thermostat(world, 37.0, PumpEffects(head_temperature_offset_k=0.123456))
    assert HeadThermometer(world, thermostat, rig_with(0.0)).reading_c(0) == 37.12


def test_the_error_is_in_the_ledger():
    world = World()
    thermometer = HeadThermometer(world, Thermostat(world, 37.0, PumpEffects()), rig_with(0.1))
    world.close()
    error_k = world.ledger.open().facts["pump.head_thermometer_error_k"]
    assert thermometer.reading_c(0) == pytest.approx(37.0 + error_k, abs=0.0051)


def test_a_rig_without_a_head_thermometer_is_refused_by_key():
    world = World()
    with pytest.raises(RigFactMissing, match=r"\[pump.head_thermometer\] standard_uncertainty_k is missing"):
        HeadThermometer(world, Thermostat(world, 37.0, PumpEffects()), {"pump": {}})
