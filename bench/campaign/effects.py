"""What the faults of a dose did to more than the dose: to the therapy, to the settings, to who may dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.campaign.conduct import Span
from firmware_mock.faults import LINK_KINDS, Fault, FaultKind
from firmware_mock.faults.second_host import STOPS, TAKES_AN_ID, TAKES_LEASE

_RESETS = (FaultKind.REBOOT, FaultKind.RESET_ON_OPEN)
_RESTARTS = (FaultKind.POWER_CUT, FaultKind.BROWN_OUT, FaultKind.NVRAM_ROT, FaultKind.WATCHDOG, *_RESETS)
_LEAVES_THERAPY = frozenset({*LINK_KINDS, FaultKind.POWER_CUT, FaultKind.BROWN_OUT, FaultKind.CLOCK_DRIFT})
_LEAVES_LEASE = frozenset({*LINK_KINDS, FaultKind.CLOCK_DRIFT}) - {*_RESETS}
_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Effects:
    """What became of a pump with its doses left aside.

    `leaves_therapy`: one that ran runs on. `leaves_settings`: nobody else wrote one, and none decayed. `stops` and
    `leases` are another host's. `restarts`: how often the pump began anew at most.
    """

    leaves_therapy: bool
    leaves_settings: bool
    stops: tuple[Span, ...]
    leases: tuple[Span, ...]
    restarts: int


def effects_of(faults: Sequence[Fault], acted_ns: Mapping[FaultKind, int | None]) -> Effects:
    """Of faults that first acted at these instants, None for those that did not."""
    acted = {fault.kind: at_ns for fault in faults if (at_ns := acted_ns[fault.kind]) is not None}
    amounts = {fault.kind: fault.amount for fault in faults}
    lost = FaultKind.EVIDENCE_LOST
    host = FaultKind.SECOND_HOST if FaultKind.SECOND_HOST in acted else None
    does = amounts[host] if host is not None else None
    stopping = [kind for kind in (lost, host) if kind in acted and (kind is lost or does == STOPS)]
    leases = []
    if does == TAKES_LEASE and acted.keys() <= _LEAVES_LEASE:
        lasts_s = next(fault.duration_s for fault in faults if fault.kind is host)
        at_ns = acted[FaultKind.SECOND_HOST]
        leases.append(Span(at_ns, at_ns + round(lasts_s * _NS_PER_S)))
    return Effects(
        acted.keys() <= _LEAVES_THERAPY and not stopping and lost not in amounts,
        does != TAKES_AN_ID and FaultKind.NVRAM_ROT not in acted and lost not in amounts,
        tuple(Span(acted[kind], acted[kind]) for kind in stopping if kind is not None),
        tuple(leases),
        sum(amounts[kind] if kind is FaultKind.BROWN_OUT else 1 for kind in _RESTARTS if kind in acted),
    )
