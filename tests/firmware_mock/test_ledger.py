"""The ledger of the truth: contiguous, sealed until the end, linear between the edges of a segment."""

import pytest

from firmware_mock import World
from firmware_mock.ledger import FlowSegment, LedgerSealed


def truth_of(*segments):
    world = World()
    for segment in segments:
        world.ledger.add_flow(segment)
    world.close()
    return world.ledger.open()


def test_the_ledger_is_sealed_until_the_world_is_closed():
    world = World()
    with pytest.raises(LedgerSealed):
        world.ledger.open()
    world.close()
    assert world.ledger.open().segments == ()


def test_a_gap_between_segments_is_refused():
    world = World()
    world.ledger.add_flow(FlowSegment(0, 10, 1, 1.0, 1.0))
    with pytest.raises(ValueError, match="starts at 11 ns, the last one ended at 10 ns"):
        world.ledger.add_flow(FlowSegment(11, 20, 1, 1.0, 1.0))


def test_volumes_add_up_over_segments_and_are_linear_within():
    truth = truth_of(FlowSegment(0, 10, 1, 1.0, 2.0), FlowSegment(10, 30, 2, 4.0, -1.0))
    assert truth.mean_volume_ul(0, 30) == 5.0
    assert truth.mean_volume_ul(5, 15) == pytest.approx(0.5 + 1.0)
    assert truth.realised_volume_ul(5, 30) == pytest.approx(1.0 - 1.0)


def test_an_empty_ledger_knows_of_no_volume():
    truth = truth_of()
    assert truth.mean_volume_ul(0, 100) == truth.realised_volume_ul(0, 100) == 0.0


def test_facts_and_evidence_are_kept():
    world = World()
    world.ledger.add_fact("thing_mm", 1.5)
    world.ledger.saw("effect")
    world.ledger.saw("effect", 2)
    world.close()
    truth = world.ledger.open()
    assert truth.facts == {"thing_mm": 1.5}
    assert truth.evidence == {"effect": 3}
