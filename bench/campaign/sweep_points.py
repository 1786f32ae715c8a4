"""Where the crash sweep kills the host and strikes the pump: points, and as text, and what runs without one show."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from bench.campaign.sweep_host import Call, Kill, Survives, When
from bench.campaign.sweep_stop import InTheWay, Trouble
from bench.errors import SetupRefused

CUT, RESET = "cut", "reset"
ONLY_CUT = frozenset({"in-chip"})


@dataclass(frozen=True, slots=True)
class Strike:
    """At the `nth` place of a kind in what the pump does, counted from 0, it loses power (CUT) or is RESET."""

    place: str
    nth: int
    act: str


@dataclass(frozen=True, slots=True)
class Point:
    """Where a run is struck: at the host, at the pump, or at both; or what is in the way of its STOP."""

    host: Kill | None = None
    pump: Strike | None = None
    way: InTheWay | None = None

    def __str__(self) -> str:
        """What `point_from` reads."""
        parts = []
        if self.host is not None:
            parts.append(f"host/{self.host.nth}/{self.host.when}/{self.host.survives}")
        if self.pump is not None:
            parts.append(f"pump/{self.pump.place}/{self.pump.nth}/{self.pump.act}")
        if self.way is not None:
            parts.append(f"{self.way.trouble}/{self.way.nth}")
        return "+".join(parts) or "none"


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What a run without a point shows: the calls of its process, and how often the pump came to each kind of place.

    `late_moments` is at how many instants something that was held back could have come.
    """

    calls: tuple[Call, ...]
    places: dict[str, int]
    late_moments: int = 0

    @property
    def yield_points(self) -> int:
        """Calls of the host and places of the pump."""
        return len(self.calls) + sum(self.places.values())


def host_points(undisturbed: Undisturbed) -> Iterator[Point]:
    """Every call of the host: before it, half-way where it has a middle, and after the last.

    With all that can be found on the disk where something was not synced then.
    """
    for nth, call in enumerate(undisturbed.calls):
        is_last = nth + 1 == len(undisturbed.calls)
        moments = (When.BEFORE, *((When.INSIDE,) if call.has_middle else ()), *((When.AFTER,) if is_last else ()))
        for when in moments:
            in_write = when is When.INSIDE and call.name.startswith("Storage.")
            for survives in Survives if in_write or call.is_unsynced else (Survives.ALL,):
                yield Point(host=Kill(nth, when, survives))


def pump_points(undisturbed: Undisturbed) -> Iterator[Point]:
    """Every place of the pump, with a loss of power and with a reset."""
    for place, times in sorted(undisturbed.places.items()):
        for nth in range(times):
            for act in (CUT,) if place in ONLY_CUT else (CUT, RESET):
                yield Point(pump=Strike(place, nth, act))


def pair_points(undisturbed: Undisturbed, times: int, stream: random.Random) -> Iterator[Point]:
    """So many pairs of a host's and a pump's point; the pump may be struck while the next host asks."""
    hosts, pumps = tuple(host_points(undisturbed)), tuple(pump_points(undisturbed))
    for _ in range(times):
        yield Point(stream.choice(hosts).host, stream.choice(pumps).pump)


def interrupt_points(undisturbed: Undisturbed) -> Iterator[Point]:
    """An interrupt before every call of the host, which lives on."""
    for nth in range(len(undisturbed.calls)):
        yield Point(host=Kill(nth, When.INTERRUPTED))


def way_points(trouble: Trouble, times: int) -> Iterator[Point]:
    """A trouble at each of so many instants."""
    return (Point(way=InTheWay(trouble, nth)) for nth in range(times))


def point_from(text: str) -> Point:
    """A point that was printed.

    Raises:
        SetupRefused: it is none.
    """
    host: Kill | None = None
    pump: Strike | None = None
    way: InTheWay | None = None
    try:
        for part in text.split("+"):
            match part.split("/"):
                case ["host", nth, when, survives]:
                    host = Kill(int(nth), When(when), Survives(survives))
                case ["pump", place, nth, (("cut" | "reset") as act)]:
                    pump = Strike(place, int(nth), act)
                case [trouble, nth]:
                    way = InTheWay(Trouble(trouble), int(nth))
                case ["none"]:
                    pass
                case _:
                    raise ValueError(part)
    except ValueError as error:
        raise SetupRefused(
            f"{text!r} is no point of the sweep ({error}); write host/12/before/all, pump/byte/40/cut, "
            "both with a + between, or late-commit/7"
        ) from error
    return Point(host, pump, way)
