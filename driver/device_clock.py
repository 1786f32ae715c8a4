"""The pump's clock on the host's: exchanges of four time stamps, the quickest of each round kept, a line through them.

What an exchange proves is exact: the pump cannot have received before the host sent, nor sent after the host received.
So beside the line there is a bound that holds for any delays, however unequal, while the two clocks drift against each
other by a constant amount below `MOST_DRIFT_PPM`. `SLACK_S` is for stamps that are cut to whole microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from driver.clock import Clock
from driver.errors import LinkTimeout, ReplyInvalid
from driver.link import Link
from protocol import ClockReply, ClockRequest

MOST_DRIFT_PPM = 200.0
ROUNDS_KEPT = 64
SLACK_S = 1.001e-6

_MOST_DRIFT = MOST_DRIFT_PPM * 1e-6


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange: host seconds at sending and at arrival, device µs at receiving and at sending."""

    sent_s: float
    received_us: int
    replied_us: int
    arrived_s: float

    @property
    def round_trip_s(self) -> float:
        """Time on the line, both ways."""
        return (self.arrived_s - self.sent_s) - (self.replied_us - self.received_us) * 1e-6


@dataclass(frozen=True, slots=True)
class HostTime:
    """An instant on the host's monotonic clock; the truth lies within `uncertainty_s` of it on either side."""

    time_s: float
    uncertainty_s: float


@dataclass(frozen=True, slots=True)
class DeviceClock:
    """Device time since boot `boot_id`, mapped onto the clock that runs the process. After a reset it is void.

    `drift_ppm` is how much faster the host's clock runs than the device's, 0 until two rounds have been made.
    """

    boot_id: int
    drift_ppm: float
    exchanges: tuple[Exchange, ...]

    @property
    def round_trip_s(self) -> float:
        """The shortest of the exchanges it rests on."""
        return min(exchange.round_trip_s for exchange in self.exchanges)

    def to_host(self, device_time_us: int, *, boot_id: int | None = None) -> HostTime:
        """When, on the host's clock, the device's showed `device_time_us`.

        At an exchange the uncertainty is half its round trip; further away it grows with the drift left open.

        Raises:
            ValueError: the time is of another boot, so it belongs to another clock.
        """
        if boot_id is not None and boot_id != self.boot_id:
            raise ValueError(f"a device time of boot {boot_id} cannot be mapped with the clock of boot {self.boot_id}")
        return _Line.through(self.exchanges).to_host(device_time_us)


class Synchroniser:
    """Makes rounds of exchanges and keeps the quickest of each, as long as the pump does not restart."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._boot_id: int | None = None
        self._kept: list[Exchange] = []

    def round(self, exchanges: int) -> DeviceClock:
        """Exchange time stamps so many times; what is lost on the line is left out.

        Raises:
            ValueError: `exchanges` is below 1.
            LinkTimeout: none came through.
            ReplyInvalid: the pump's time stamps cannot be true.
            LinkError, TransportError: the pump cannot be asked.
        """
        if exchanges < 1:
            raise ValueError(f"a round has at least 1 exchange, not {exchanges}")
        made: list[Exchange] = []
        failure: LinkTimeout | None = None
        for _ in range(exchanges):
            try:
                boot_id, exchange = self._exchange()
            except LinkTimeout as error:
                failure = error
                continue
            if boot_id != self._boot_id:
                self._boot_id, self._kept, made = boot_id, [], []
            made.append(exchange)
        if not made:
            assert failure is not None
            raise failure
        self._kept = _consistent([*self._kept, min(made, key=lambda each: each.round_trip_s)][-ROUNDS_KEPT:])
        assert self._boot_id is not None
        return DeviceClock(self._boot_id, _Line.through(self._kept).slope * 1e6, tuple(self._kept))

    def _exchange(self) -> tuple[int, Exchange]:
        sent_s = self._clock.monotonic()
        reply = self._link.request(ClockRequest(max(0, int(sent_s * 1e6))), ClockReply)
        made = Exchange(sent_s, reply.received_us, reply.sent_us, self._clock.monotonic())
        took_s = (made.replied_us - made.received_us) * 1e-6
        if took_s < 0.0 or made.round_trip_s < -_MOST_DRIFT * took_s - SLACK_S:
            raise ReplyInvalid(
                self._link.port,
                f"the pump says that it took {took_s:g} s to answer an exchange of {made.arrived_s - made.sent_s:g} s; "
                "its clock cannot be used",
            )
        return reply.boot_id, made


@dataclass(frozen=True, slots=True)
class _Line:
    """What the host's clock is ahead of the device's, since the first exchange, as a line over device seconds since.

    Each (x, y) of `above` says that it is at most y at x, each of `below` at least; `slopes` are the least and the
    most drift that fit all of them, `slope` and `centre` the line of least squares.
    """

    first: Exchange
    above: tuple[tuple[float, float], ...]
    below: tuple[tuple[float, float], ...]
    slopes: tuple[float, float]
    slope: float
    centre: tuple[float, float]

    @classmethod
    def through(cls, exchanges: Sequence[Exchange]) -> _Line:
        """The line through the middles of exchanges, each weighted by its round trip."""
        first = exchanges[0]
        below = tuple(_point(first, each.received_us, each.sent_s, -SLACK_S) for each in exchanges)
        above = tuple(_point(first, each.replied_us, each.arrived_s, SLACK_S) for each in exchanges)
        slopes = _slopes(above, below)
        weights = [max(each.round_trip_s, SLACK_S) ** -2 for each in exchanges]
        xs = [(low[0] + high[0]) / 2.0 for low, high in zip(below, above, strict=True)]
        ys = [(low[1] + high[1]) / 2.0 for low, high in zip(below, above, strict=True)]
        x, y = _mean(xs, weights), _mean(ys, weights)
        spread = _mean([(each - x) ** 2 for each in xs], weights)
        slope = 0.0
        if len(exchanges) > 1 and spread > 0.0:
            slope = _mean([(a - x) * (b - y) for a, b in zip(xs, ys, strict=True)], weights) / spread
        return cls(first, above, below, slopes, min(max(slope, slopes[0]), slopes[1]), (x, y))

    def to_host(self, device_us: int) -> HostTime:
        at = (device_us - self.first.received_us) * 1e-6
        least, most = self.slopes
        high = min(y + max(least * (at - x), most * (at - x)) for x, y in self.above)
        low = max(y + min(least * (at - x), most * (at - x)) for x, y in self.below)
        ahead = min(max(self.centre[1] + self.slope * (at - self.centre[0]), low), high)
        time_s = self.first.sent_s + at + ahead
        return HostTime(time_s, max(high - ahead, ahead - low) + 4.0 * math.ulp(time_s))


def _point(first: Exchange, device_us: int, host_s: float, slack_s: float) -> tuple[float, float]:
    device_s = (device_us - first.received_us) * 1e-6
    return device_s, (host_s - first.sent_s) - device_s + slack_s


def _mean(values: Iterable[float], weights: list[float]) -> float:
    return math.fsum(w * value for w, value in zip(weights, values, strict=True)) / math.fsum(weights)


def _slopes(above: Iterable[tuple[float, float]], below: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The least and the most drift that no pair of points rules out; where none is left the least is the greater."""
    least, most = -_MOST_DRIFT, _MOST_DRIFT
    for x_above, y_above in above:
        for x_below, y_below in below:
            run = x_above - x_below
            if run > 0.0:
                most = min(most, (y_above - y_below) / run)
            elif run < 0.0:
                least = max(least, (y_above - y_below) / run)
    return least, most


def _consistent(exchanges: list[Exchange]) -> list[Exchange]:
    """The newest exchanges that one constant drift explains: a clock whose drift changed loses its past."""
    while len(exchanges) > 1:
        line = _Line.through(exchanges)
        if line.slopes[0] <= line.slopes[1]:
            break
        exchanges = exchanges[1:]
    return exchanges
