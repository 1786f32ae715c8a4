"""The room air: a function of time and seed, whatever the order of the questions."""

from itertools import pairwise
from statistics import fmean, stdev

import pytest

from firmware_mock.physics.environment import RoomAir, ThermalLag
from firmware_mock.scenario import Scenario, ScenarioError
from firmware_mock.world import World, to_ns

HOUR_NS = to_ns(3600.0)
WEATHER = {
    "temperature_daily_k": 0.3,
    "humidity_daily_pct": 2.0,
    "temperature_weather_k": 0.1,
    "humidity_weather_pct": 5.0,
    "pressure_weather_hpa": 4.0,
}


def room(table, *, seed=0):
    return RoomAir(World(seed=seed, scenario=Scenario("test", {"air": table})))


def test_without_effects_the_air_stands_still():
    air = room({})
    assert {
        (air.temperature_c(h * HOUR_NS), air.humidity_pct(h * HOUR_NS), air.pressure_hpa(h * HOUR_NS))
        for h in range(48)
    } == {(20.0, 50.0, 1013.25)}


def test_the_air_is_a_function_of_time_and_seed_not_of_the_order_of_questions():
    one, other, foreign = room(WEATHER), room(WEATHER), room(WEATHER, seed=1)
    times = [round(0.37 * h * HOUR_NS) for h in range(200)]
    forward = [(one.temperature_c(t), one.humidity_pct(t), one.pressure_hpa(t)) for t in times]
    backward = [(other.temperature_c(t), other.humidity_pct(t), other.pressure_hpa(t)) for t in reversed(times)]
    assert forward == backward[::-1]
    assert forward != [(foreign.temperature_c(t), foreign.humidity_pct(t), foreign.pressure_hpa(t)) for t in times]


def test_the_daily_course_repeats_every_day_and_has_the_stated_amplitude():
    air = room({"temperature_daily_k": 0.3})
    day = [air.temperature_c(minute * 60 * 10**9) for minute in range(0, 1440, 5)]
    assert max(day) == pytest.approx(20.3, abs=1e-3)
    assert min(day) == pytest.approx(19.7, abs=1e-3)
    assert air.temperature_c(30 * HOUR_NS) == pytest.approx(air.temperature_c(6 * HOUR_NS), abs=1e-12)


def test_the_weather_has_the_stated_spread_and_changes_slowly():
    air = room({"pressure_weather_hpa": 4.0})
    hourly = [air.pressure_hpa(h * HOUR_NS) for h in range(24 * 365)]
    assert fmean(hourly) == pytest.approx(1013.25, abs=1.5)
    assert stdev(hourly) == pytest.approx(4.0, rel=0.2)
    assert max(abs(after - before) for before, after in pairwise(hourly)) < 2.5


def test_a_lagging_body_forgets_its_first_temperature_and_lags_behind_a_cycle_by_its_time_constant():
    air = room({"temperature_daily_k": 1.0})
    lag = ThermalLag(air, 3600.0)
    times = [to_ns(60.0 * minute) for minute in range(3 * 1440)]
    body = [lag.temperature_c(t) for t in times]
    last_day = range(2 * 1440, 3 * 1440)
    warmest_room = max(last_day, key=lambda minute: air.temperature_c(times[minute]))
    warmest_body = max(last_day, key=lambda minute: body[minute])
    assert (warmest_body - warmest_room) % 1440 == pytest.approx(58.7, abs=10.0)
    assert max(body[minute] for minute in last_day) - 20.0 == pytest.approx(0.967, abs=0.002)


def test_a_lagging_body_is_the_same_however_often_it_is_asked():
    often, seldom = (ThermalLag(room(WEATHER), 3000.0) for _ in range(2))
    for minute in range(0, 6000, 7):
        at_last = often.temperature_c(to_ns(60.0 * minute))
    assert seldom.temperature_c(to_ns(60.0 * 5999)) == pytest.approx(often.temperature_c(to_ns(60.0 * 5999)), abs=1e-9)
    assert at_last != 20.0


@pytest.mark.parametrize("key", ["weather_time_h", "humidity_pct", "pressure_hpa"])
def test_an_impossible_climate_is_refused_with_its_key(key):
    with pytest.raises(ScenarioError, match=key):
        room({key: -1.0})
