"""What faults did to more than the dose follows from which of them acted, and how."""

import pytest

from bench.campaign.conduct import Span
from bench.campaign.effects import effects_of
from firmware_mock.faults import Direction, Fault, FaultKind
from firmware_mock.faults.second_host import PROPOSES, STOPS, TAKES_AN_ID, TAKES_LEASE

S = 1_000_000_000


def effects(*acts, idle=()):
    faults = [Fault(FaultKind(kind), Direction.TO_DEVICE, 0, 1, 0.0, 2.0, amount, 1) for kind, amount in (*acts, *idle)]
    acted = {FaultKind(kind): 5 * S for kind, _ in acts}
    return effects_of(faults, {fault.kind: acted.get(fault.kind) for fault in faults})


@pytest.mark.parametrize(
    ("acts", "restarts"),
    [
        ([("flip", 3)], 0),
        ([("brown-out", 4)], 4),
        ([("power-cut", 5)], 1),
        ([("reboot", 0), ("brown-out", 2)], 3),
        ([("watchdog", 0), ("reset-on-open", 0)], 2),
    ],
)
def test_a_pump_begins_anew_as_often_as_faults_made_it(acts, restarts):
    assert effects(*acts).restarts == restarts
    assert effects(idle=acts).restarts == 0


def test_another_hosts_stop_ends_what_ran():
    for act in (("second-host", STOPS), ("evidence-lost", 0)):
        stopped = effects(act)
        assert (stopped.leaves_therapy, stopped.stops, stopped.leases) == (False, (Span(5 * S, 5 * S),), ())
    assert effects(idle=[("second-host", STOPS)]).leaves_therapy
    assert not effects(idle=[("evidence-lost", 0)]).leaves_therapy
    assert effects(("second-host", PROPOSES)).leaves_therapy


def test_another_hosts_lease_lasts_unless_the_pump_may_have_begun_anew():
    held = effects(("second-host", TAKES_LEASE), ("flip", 1))
    assert held.leases == (Span(5 * S, 7 * S),)
    assert effects(("second-host", TAKES_LEASE), ("reboot", 0)).leases == ()
    assert effects(("second-host", TAKES_LEASE), idle=[("reboot", 0)]).leases == (Span(5 * S, 7 * S),)


@pytest.mark.parametrize(
    ("act", "is_left"),
    [
        (("reboot", 0), True),
        (("second-host", STOPS), True),
        (("second-host", TAKES_AN_ID), False),
        (("nvram-rot", 1), False),
        (("evidence-lost", 0), False),
    ],
)
def test_settings_stay_unless_another_host_writes_one_or_the_memory_decays(act, is_left):
    assert effects(act).leaves_settings == is_left
