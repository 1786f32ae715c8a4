"""Room air at the balance: daily course and slow weather, functions of time and seed, linear between quarter hours."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, pi, sqrt
from random import Random
from typing import NamedTuple

from firmware_mock.physics.air import air_density_kg_per_m3
from firmware_mock.scenario import ScenarioError
from firmware_mock.world import NS_PER_S, World

NODE_PITCH_S = 900
NODE_PITCH_NS = NODE_PITCH_S * NS_PER_S
_S_PER_H = 3600.0
_WARMEST_HOUR = 16.0
_TIDE_HOUR = 10.0
_WEATHER_KNOTS_PER_TIME = 6.0


@dataclass(frozen=True, slots=True)
class AirEffects:
    """Scenario table `[air]`: means, daily amplitudes, standard deviations of the weather, noise of the sensors.

    Humidity runs against temperature through the day; `pressure_tide_hpa` comes twice a day. `weather_time_h` is the
    correlation time of the weather.
    """

    temperature_c: float = 20.0
    humidity_pct: float = 50.0
    pressure_hpa: float = 1013.25
    temperature_daily_k: float = 0.0
    humidity_daily_pct: float = 0.0
    pressure_tide_hpa: float = 0.0
    temperature_weather_k: float = 0.0
    humidity_weather_pct: float = 0.0
    pressure_weather_hpa: float = 0.0
    weather_time_h: float = 36.0
    thermometer_noise_k: float = 0.0
    hygrometer_noise_pct: float = 0.0
    barometer_noise_hpa: float = 0.0

    def __post_init__(self) -> None:
        if self.weather_time_h <= 0.0:
            raise ScenarioError(f"[air] weather_time_h = {self.weather_time_h} must be above 0")
        if not 0.0 < self.humidity_pct < 100.0:
            raise ScenarioError(f"[air] humidity_pct = {self.humidity_pct} must be between 0 and 100")
        if self.pressure_hpa <= 0.0:
            raise ScenarioError(f"[air] pressure_hpa = {self.pressure_hpa} must be above 0")


class AirNode(NamedTuple):
    """The air at one quarter hour."""

    temperature_c: float
    humidity_pct: float
    pressure_hpa: float
    density_kg_per_m3: float


class RoomAir:
    """The air in which the balance stands and the vessel evaporates."""

    def __init__(self, world: World) -> None:
        self.effects = world.scenario.section("air", AirEffects)
        effects = self.effects
        self._start_hour = world.stream("air.start_hour").uniform(0.0, 24.0)
        time_h = effects.weather_time_h
        self._temperature_weather = _Weather(world, "temperature", effects.temperature_weather_k, time_h)
        self._humidity_weather = _Weather(world, "humidity", effects.humidity_weather_pct, time_h)
        self._pressure_weather = _Weather(world, "pressure", effects.pressure_weather_hpa, time_h)
        self._ledger = world.ledger
        self._daily_seen = self._weather_seen = 0
        self._right_index = -1
        self._right = self._left = self._change = AirNode(0.0, 0.0, 0.0, 0.0)
        self._cell_start_ns = -NODE_PITCH_NS
        self._enter_cell(0)
        world.at_close(self._note_evidence)

    def temperature_c(self, t_ns: int) -> float:
        """Air temperature, in °C."""
        fraction = self._fraction(t_ns)
        return self._left[0] + fraction * self._change[0]

    def humidity_pct(self, t_ns: int) -> float:
        """Relative humidity, in %."""
        fraction = self._fraction(t_ns)
        return self._left[1] + fraction * self._change[1]

    def pressure_hpa(self, t_ns: int) -> float:
        """Pressure, in hPa."""
        fraction = self._fraction(t_ns)
        return self._left[2] + fraction * self._change[2]

    def density_kg_per_m3(self, t_ns: int) -> float:
        """Density, in kg/m³."""
        fraction = self._fraction(t_ns)
        return self._left[3] + fraction * self._change[3]

    def node(self, index: int) -> AirNode:
        """The air `index` quarter hours after the world began."""
        if index == self._right_index:
            return self._right
        effects = self.effects
        t_s = float(index * NODE_PITCH_S)
        hour = self._start_hour + t_s / _S_PER_H
        day = cos((hour - _WARMEST_HOUR) * (pi / 12.0))
        tide = cos((hour - _TIDE_HOUR) * (pi / 6.0))
        mean = (effects.temperature_c, effects.humidity_pct, effects.pressure_hpa)
        course = (
            effects.temperature_c + effects.temperature_daily_k * day,
            effects.humidity_pct - effects.humidity_daily_pct * day,
            effects.pressure_hpa + effects.pressure_tide_hpa * tide,
        )
        temperature_c = course[0] + self._temperature_weather.deviation(t_s)
        humidity_pct = min(max(course[1] + self._humidity_weather.deviation(t_s), 1.0), 99.0)
        pressure_hpa = course[2] + self._pressure_weather.deviation(t_s)
        self._daily_seen += course != mean
        self._weather_seen += (temperature_c, humidity_pct, pressure_hpa) != course
        density = air_density_kg_per_m3(temperature_c, pressure_hpa, humidity_pct)
        return AirNode(temperature_c, humidity_pct, pressure_hpa, density)

    def _fraction(self, t_ns: int) -> float:
        elapsed_ns = t_ns - self._cell_start_ns
        if not 0 <= elapsed_ns < NODE_PITCH_NS:
            self._enter_cell(t_ns // NODE_PITCH_NS)
            elapsed_ns = t_ns - self._cell_start_ns
        return elapsed_ns / NODE_PITCH_NS

    def _enter_cell(self, index: int) -> None:
        left = self.node(index)
        right = self.node(index + 1)
        self._left, self._right, self._right_index = left, right, index + 1
        self._change = AirNode(*(after - before for before, after in zip(left, right, strict=True)))
        self._cell_start_ns = index * NODE_PITCH_NS

    def _note_evidence(self) -> None:
        for effect, times in (("air.daily_course", self._daily_seen), ("air.weather", self._weather_seen)):
            if times:
                self._ledger.saw(effect, times)


class ThermalLag:
    """A body that follows the room's temperature with a first-order lag, exact for air that is linear between nodes.

    Asked in time order; after a long pause it starts afresh thirty time constants back.
    """

    def __init__(self, air: RoomAir, time_constant_s: float) -> None:
        self._air = air
        self._time_constant_s = time_constant_s
        self._index = 0
        self._air_c = self._body_c = self._before_c = air.node(0).temperature_c
        self._cell_index = -1
        self._left_c = self._change_c = 0.0
        if time_constant_s > 0.0:
            ratio = NODE_PITCH_S / time_constant_s
            self._decay = exp(-ratio)
            self._weight_after = 1.0 - (1.0 - self._decay) / ratio
            self._weight_before = 1.0 - self._decay - self._weight_after
            self._memory_nodes = int(30.0 / ratio) + 1

    def temperature_c(self, t_ns: int) -> float:
        """Temperature of the body, in °C."""
        if self._time_constant_s <= 0.0:
            return self._air.temperature_c(t_ns)
        index = t_ns // NODE_PITCH_NS
        if index != self._cell_index:
            self._left_c = self.node_c(index)
            self._change_c = self.node_c(index + 1) - self._left_c
            self._cell_index = index
        return self._left_c + self._change_c * (t_ns - index * NODE_PITCH_NS) / NODE_PITCH_NS

    def node_c(self, index: int) -> float:
        """Temperature of the body `index` quarter hours after the world began, in °C."""
        if self._time_constant_s <= 0.0:
            return self._air.node(index).temperature_c
        if index == self._index - 1:
            return self._before_c
        if index - self._index > self._memory_nodes:
            self._index = index - self._memory_nodes
            self._air_c = self._body_c = self._air.node(self._index).temperature_c
        while self._index < index:
            self._before_c = self._body_c
            self._index += 1
            after_c = self._air.node(self._index).temperature_c
            self._body_c = self._decay * self._body_c + self._weight_before * self._air_c + self._weight_after * after_c
            self._air_c = after_c
        return self._body_c


class _Weather:
    """A stationary random curve: first-order autoregressive knots, a Catmull-Rom spline between them."""

    def __init__(self, world: World, name: str, standard_deviation: float, time_h: float) -> None:
        self._stream: Random = world.stream(f"air.weather.{name}")
        self._standard_deviation = standard_deviation
        self._pitch_s = time_h * _S_PER_H / _WEATHER_KNOTS_PER_TIME
        self._persistence = exp(-1.0 / _WEATHER_KNOTS_PER_TIME)
        self._innovation = standard_deviation * sqrt(1.0 - self._persistence**2)
        self._knots = [self._stream.gauss(0.0, standard_deviation)]

    def deviation(self, t_s: float) -> float:
        """How far the weather is from its mean, in the unit of its standard deviation."""
        if self._standard_deviation == 0.0:
            return 0.0
        position = t_s / self._pitch_s
        index = int(position)
        knots = self._knots
        while len(knots) < index + 4:
            knots.append(self._persistence * knots[-1] + self._stream.gauss(0.0, self._innovation))
        a, b, c, d = knots[index : index + 4]
        x = position - index
        return b + 0.5 * x * (c - a + x * (2.0 * a - 5.0 * b + 4.0 * c - d + x * (3.0 * (b - c) + d - a)))
