"""The clinic's visits: every order by bytes, and a plain word where the pump refuses or nobody answers."""

import pytest

from firmware_mock import World
from firmware_mock.clinic import Clinic, Order
from firmware_mock.faults.lone_pump import LonePump
from firmware_mock.world import to_ns
from protocol import OnLeaseLoss, ProposeContinuous, ProposeFlex, StatusRequest, Stop
from protocol.profile import load_model


def continuous(rate_ul_per_h, on_commit=lambda: None):
    return Order(
        f"continuous {rate_ul_per_h:g}",
        lambda id_: ProposeContinuous(id_, rate_ul_per_h, OnLeaseLoss.CONTINUE),
        on_commit,
    )


@pytest.fixture
def visited():
    """A pump, its clinic and what that was told."""
    world, told = World(), []
    pump = LonePump(world, load_model("implantable-20ml"))
    return world, pump, Clinic(world, pump.port, told.append), told


def test_orders_of_one_visit_are_put_one_after_the_other(visited):
    world, pump, clinic, told = visited
    clinic.wants(continuous(20.0))
    clinic.wants(Order("status", lambda _: StatusRequest()))
    clinic.wants(continuous(40.0))
    assert told == []
    world.sleep(1.0)
    assert told == ["continuous 20: running", "status: done", "continuous 40: running"]
    assert pump.turning is not None


def test_a_refusal_is_told_with_its_reason(visited):
    world, _, clinic, told = visited
    clinic.wants(continuous(1e6))
    clinic.wants(Order("flex", lambda id_: ProposeFlex(id_, OnLeaseLoss.CONTINUE, ())))
    world.sleep(1.0)
    assert told[0].startswith("continuous 1e+06: refused, OUT_OF_RANGE: rate_ul_per_h above the limit")
    assert told[1].startswith("flex: refused, ")


def test_nobody_answers_without_power_and_the_next_visit_goes_on(visited):
    world, pump, clinic, told = visited
    pump.cut_power(0, 10.0, 0, lambda: None)
    clinic.wants(continuous(20.0))
    clinic.wants(Order("stop", lambda _: Stop()))
    world.sleep(20.0)
    assert told == ["continuous 20: no answer", "stop: no answer"]
    clinic.wants(continuous(20.0))
    world.sleep(1.0)
    assert told[-1] == "continuous 20: running"


def test_a_head_that_slipped_off_is_no_answer(visited):
    world, pump, clinic, told = visited
    pump.port.unplug()
    clinic.wants(continuous(20.0))
    world.sleep(5.0)
    assert told == ["continuous 20: no answer"]
    pump.port.plug()
    clinic.wants(continuous(20.0))
    world.sleep(1.0)
    assert told[-1] == "continuous 20: running"


def test_a_head_that_slips_off_in_the_middle_is_no_answer(visited):
    world, pump, clinic, told = visited
    clinic.wants(continuous(20.0, on_commit=lambda: world.at(world.now_ns + to_ns(1e-3), pump.port.unplug)))
    world.sleep(5.0)
    assert told == ["continuous 20: no answer"]
    assert pump.turning is None


def test_a_lost_answer_is_asked_for_again(visited):
    world, pump, clinic, told = visited
    clinic.wants(continuous(20.0))
    world.sleep(0.002)
    pump.port.unplug()
    pump.port.plug()
    world.sleep(2.0)
    assert told == ["continuous 20: running"]
