"""Drug along tubing and catheter: what arrives when, against what went in a volume earlier, in rational arithmetic."""

from fractions import Fraction
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_mock.physics.dose import bridge, rate_ul_per_h
from firmware_mock.physics.transport import Slug, Way

WAY_UL = 375.0
VOLUMES = st.one_of(st.floats(0.0, 1000.0), st.sampled_from([0.0, 1e-9, 187.5, 375.0, 750.0]))
CONCENTRATIONS = st.sampled_from([0.0, 500.0, 500.5, 2000.0])


def arrived(history, from_ul, to_ul):
    """Volume-weighted drug in µg·1000 that the history brings into [from, to), an exact integral."""
    total, at = Fraction(0), Fraction(0)
    for volume, concentration in history:
        overlap = min(at + volume, to_ul) - max(at, from_ul)
        total += max(Fraction(0), overlap) * concentration
        at += volume
    return total


@given(st.lists(st.tuples(VOLUMES, CONCENTRATIONS), max_size=40))
def test_what_leaves_the_tip_is_what_went_in_a_way_earlier(entering):
    way = Way(WAY_UL, 500.0)
    history = [(Fraction(WAY_UL), Fraction(500))]
    left = Fraction(0)
    for volume_ul, concentration in entering:
        history.append((Fraction(volume_ul), Fraction(concentration)))
        passage = way.advance(volume_ul, concentration)
        drug = arrived(history, left, left + Fraction(volume_ul)) / 1000
        left += Fraction(volume_ul)
        assert passage.tip_ul == pytest.approx(volume_ul, rel=1e-9, abs=1e-12)
        assert passage.tip_ug == pytest.approx(float(drug), rel=1e-9, abs=1e-9)
        held = arrived(history, left, left + Fraction(WAY_UL)) / 1000
        assert way.drug_ug == pytest.approx(float(held), rel=1e-9, abs=1e-9)
        assert fsum(slug.volume_ul for slug in way.slugs) == pytest.approx(WAY_UL, rel=1e-12)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(VOLUMES, CONCENTRATIONS, st.floats(0.0, WAY_UL), st.sampled_from([0.0, 0.25, 1.0, 1e-3])), max_size=25
    )
)
def test_drug_is_conserved_whatever_leaks_wherever(entering):
    way = Way(WAY_UL, 500.0)
    put_in_ug, tip_ug, leaked_ug = [way.drug_ug], [], []
    for volume_ul, concentration, at_ul, share in entering:
        passage = way.advance(volume_ul, concentration, leak_at_ul=at_ul, leak_share=share)
        put_in_ug.append(volume_ul * concentration / 1000.0)
        tip_ug.append(passage.tip_ug)
        leaked_ug.append(passage.leaked_ug)
        assert passage.tip_ul == pytest.approx(volume_ul * (1.0 - share), rel=1e-9, abs=1e-9)
        assert fsum([*tip_ug, *leaked_ug, way.drug_ug]) == pytest.approx(fsum(put_in_ug), rel=1e-9)
        assert fsum(slug.volume_ul for slug in way.slugs) == pytest.approx(WAY_UL, rel=1e-12)


@given(st.lists(st.tuples(VOLUMES, CONCENTRATIONS), min_size=1, max_size=20), st.floats(0.0, WAY_UL, exclude_max=True))
def test_the_tip_can_be_foreseen_for_as_far_as_the_way_reaches(entering, after_ul):
    way = Way(WAY_UL, 500.0)
    for volume_ul, concentration in entering:
        way.advance(volume_ul, concentration)
    foreseen = way.at_tip_ug_per_ml(after_ul * 0.999)
    passage = way.advance(after_ul, 7.0)
    met = [slug.concentration_ug_per_ml for slug in passage.tip]
    assert foreseen in {*met, way.at_tip_ug_per_ml()}


def test_what_is_not_on_the_way_yet_cannot_be_foreseen():
    way = Way(WAY_UL, 500.0)
    with pytest.raises(ValueError, match=r"after 375.0 uL comes what is not on the way yet; it holds 375.0 uL"):
        way.at_tip_ug_per_ml(375.0)


def test_a_leak_half_way_slows_the_rest_of_the_way_and_takes_its_share_of_drug():
    """Behind a leak of a quarter at 199 µL, 176 µL take 176/0.75 µL more at the pump."""
    way = Way(WAY_UL, 500.0)
    leak = {"leak_at_ul": 199.0, "leak_share": 0.25}
    first = way.advance(199.0, 2000.0, **leak)
    assert [(slug.volume_ul, slug.concentration_ug_per_ml) for slug in first.leaked] == [(49.75, 500.0)]
    assert way.at_tip_ug_per_ml() == 500.0
    way.advance(176.0 / 0.75 - 0.1, 2000.0, **leak)
    assert way.at_tip_ug_per_ml() == 500.0
    way.advance(0.2, 2000.0, **leak)
    assert way.at_tip_ug_per_ml() == 2000.0


def test_a_catheter_that_came_off_gives_all_of_it_at_the_connector_and_keeps_what_it_held():
    way = Way(WAY_UL, 500.0)
    passage = way.advance(300.0, 2000.0, leak_at_ul=199.0, leak_share=1.0)
    assert passage.tip == ()
    assert [slug.volume_ul for slug in passage.leaked] == [pytest.approx(199.0), pytest.approx(101.0)]
    assert way.slugs == (Slug(199.0, 2000.0), Slug(176.0, 500.0))


def test_priming_brings_the_new_drug_to_the_tip_and_gives_the_old_at_once():
    way = Way(WAY_UL, 500.0)
    assert way.advance(WAY_UL, 2000.0).tip_ug == pytest.approx(187.5, rel=1e-15)
    assert way.slugs == (Slug(WAY_UL, 2000.0),)


def test_without_a_bridge_the_tip_gets_a_quarter_of_the_dose_for_seven_and_a_half_days():
    """domain.md: 500 to 2000 µg/mL at 100 µg/day through 0.375 mL."""
    way = Way(WAY_UL, 500.0)
    day_ul = rate_ul_per_h(100.0, 2000.0) * 24.0
    days = [way.advance(day_ul / 2.0, 2000.0).tip_ug * 2.0 for _ in range(20)]
    assert days == pytest.approx([25.0] * 15 + [100.0] * 5, rel=1e-15)


def test_with_the_bridge_the_dose_never_changes():
    way = Way(WAY_UL, 500.0)
    bridged = bridge(WAY_UL, old_ug_per_ml=500.0, new_ug_per_ml=2000.0, old_ug_per_day=100.0)
    hours = int(bridged.hours)
    doses = [way.advance(bridged.rate_ul_per_h, 2000.0).tip_ug * 24.0 for _ in range(hours)]
    after = rate_ul_per_h(100.0, 2000.0)
    doses += [way.advance(after, 2000.0).tip_ug * 24.0 for _ in range(200)]
    assert doses == pytest.approx([100.0] * (45 + 200), rel=1e-9)


def test_seven_years_of_small_volumes_neither_drift_nor_pile_up():
    way = Way(WAY_UL, 500.0)
    leak = {"leak_at_ul": 250.1, "leak_share": 0.1}
    for change in range(20_000):
        way.advance(7.3, 500.0 if change % 1000 < 500 else 2000.0, **(leak if change % 3 else {}))
        assert len(way.slugs) <= 4
    assert fsum(slug.volume_ul for slug in way.slugs) == pytest.approx(WAY_UL, rel=1e-9)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"volume_ul": -1.0}, "-1.0 uL cannot be let in; drug moves forward alone"),
        ({"volume_ul": 1.0, "leak_at_ul": 376.0, "leak_share": 0.5}, "at 376.0 uL is not on a way of 375.0 uL"),
        ({"volume_ul": 1.0, "leak_at_ul": 1.0, "leak_share": 1.5}, "a leak of share 1.5 at 1.0 uL"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(values, sentence):
    way = Way(WAY_UL, 500.0)
    with pytest.raises(ValueError, match=sentence):
        way.advance(concentration_ug_per_ml=1.0, **values)
    assert way.slugs == (Slug(WAY_UL, 500.0),)
    with pytest.raises(ValueError, match=r"volume_ul = 0\.0 must be above 0"):
        Way(0.0, 500.0)
