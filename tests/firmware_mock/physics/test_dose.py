"""The dose arithmetic and the worked examples of domain.md, to the digit."""

import pytest

from firmware_mock.physics.dose import bridge, rate_ul_per_h, way_ul
from protocol.profile import load_model


def test_the_worked_bridge_takes_45_h_and_is_entered_as_750_ug():
    profile = load_model("implantable-20ml")
    way = way_ul(profile.tubing_volume_ul, 80.0, profile.catheter_ul_per_cm)
    assert way == pytest.approx(375.0, rel=1e-15)
    bridged = bridge(way, old_ug_per_ml=500.0, new_ug_per_ml=2000.0, old_ug_per_day=100.0)
    assert bridged.rate_ul_per_h * 24.0 == pytest.approx(200.0, rel=1e-15)
    assert bridged.hours == pytest.approx(45.0, rel=1e-15)
    assert bridged.entered_ug == pytest.approx(750.0, rel=1e-15)
    assert rate_ul_per_h(100.0, 2000.0) * 24.0 == pytest.approx(50.0, rel=1e-15)


@pytest.mark.parametrize(("catheter_cm", "way_ml"), [(0.0, 0.199), (80.0, 0.375), (30.0, 0.265), (100.0, 0.419)])
def test_priming_volumes(catheter_cm, way_ml):
    assert way_ul(199.0, catheter_cm, 2.2) / 1000.0 == pytest.approx(way_ml, rel=1e-15)
