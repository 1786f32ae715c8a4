"""The kinds of pump that a profile can describe, and what their files may get wrong."""

import pytest

from protocol import ProfileError
from protocol.profile import ConstantFlow, Magnet, Peristaltic, PowerSource, ValveGated, load_model, model_names


@pytest.mark.parametrize(
    ("name", "kind", "head", "power"),
    [
        ("implantable-20ml", "implantable", Peristaltic, PowerSource.SEALED_CELL),
        ("implantable-40ml", "implantable", Peristaltic, PowerSource.SEALED_CELL),
        ("valve-gated-latch", "implantable", ValveGated, PowerSource.SEALED_CELL),
        ("valve-gated-dump", "implantable", ValveGated, PowerSource.SEALED_CELL),
        ("constant-flow-20ml", "implantable", ConstantFlow, PowerSource.NONE),
        ("external-rotary", "external", Peristaltic, PowerSource.REPLACEABLE_CELLS),
        ("bench-stepper", "bench", Peristaltic, PowerSource.SUPPLY),
    ],
)
def test_the_kinds_of_pump_that_are_shipped(name: str, kind: str, head: type, power: PowerSource) -> None:
    profile = load_model(name)
    assert name in model_names()
    assert (profile.kind, type(profile.head), profile.power) == (kind, head, power)
    assert (profile.cells is not None) == (power in (PowerSource.SEALED_CELL, PowerSource.REPLACEABLE_CELLS))
    assert (profile.service_life is not None) == (power is PowerSource.SEALED_CELL)
    assert (profile.supply is not None) == (power is PowerSource.SUPPLY)
    assert (profile.programming is not None) == (head is not ConstantFlow)
    assert (profile.sounder is not None) == (head is not ConstantFlow and kind != "bench")


def test_the_two_valve_gated_models_differ_by_what_a_magnet_does_alone() -> None:
    latch, dump = load_model("valve-gated-latch"), load_model("valve-gated-dump")
    assert isinstance(latch.head, ValveGated)
    assert isinstance(dump.head, ValveGated)
    assert (latch.head.magnet, dump.head.magnet) == (Magnet.LATCH, Magnet.DUMP)
    assert latch.figures == dump.figures


def test_the_trial_pump_moves_50_ul_a_revolution_and_its_accuracy_is_a_claim_on_a_population() -> None:
    profile = load_model("external-rotary")
    assert profile.step_volume_nl * profile.steps_per_revolution == 50_000.0
    assert (profile.accuracy_limit_pct, profile.accuracy_claim) == (6.0, "population")
    assert "never verified on one unit" in profile.figures["accuracy_limit_pct"].source


def test_what_domain_leaves_unconfirmed_is_not_called_published() -> None:
    for name in ("implantable-20ml", "implantable-40ml"):
        figures = load_model(name).figures
        for key in ("rate_min_ul_per_h", "rate_max_ul_per_h", "minimum_rate_ul_per_h", "tubing_volume_ul"):
            assert figures[key].confidence == "unconfirmed"


@pytest.mark.parametrize(
    ("model", "key", "sentence"),
    [
        ("constant-flow-20ml", "rate_max_ul_per_h", "its metering is constant-flow, its power none"),
        ("valve-gated-latch", "step_volume_nl", "its metering is valve-gated, its power sealed-cell"),
        ("bench-stepper", "battery_energy_j", "its metering is peristaltic, its power supply"),
    ],
)
def test_a_figure_that_a_kind_of_pump_does_not_have_is_refused_where_it_is_used(model, key, sentence) -> None:
    with pytest.raises(ProfileError, match=f"^pump model {model} has no {key}: {sentence}$"):
        getattr(load_model(model), key)


FAULTS_OF_KINDS = [
    (
        "valve-gated-dump",
        'magnet = "dump"',
        'magnet = "open"',
        "magnet: is 'open'; input should be 'latch' or 'dump'",
    ),
    ("valve-gated-dump", 'magnet = "dump"', "", "magnet: is missing; add it"),
    (
        "implantable-20ml",
        'metering = "peristaltic"',
        'metering = "peristaltic"\nmagnet = "dump"',
        'magnet: is no figure of such a pump: kind is "implantable", metering "peristaltic"',
    ),
    (
        "valve-gated-dump",
        "[shot_volume_nl]",
        "[step_volume_nl]",
        'step_volume_nl: is no figure of such a pump: kind is "implantable", metering "valve-gated"',
    ),
    ("valve-gated-dump", "[shot_volume_nl]", "[shots]", "shot_volume_nl: is missing; add a table [shot_volume_nl]"),
    ("implantable-20ml", 'metering = "peristaltic"\n', "", "metering: is missing; add it"),
    (
        "implantable-20ml",
        'power = "sealed-cell"',
        'power = "none"',
        "power: is 'none'; a pump that is programmed needs",
    ),
    (
        "constant-flow-20ml",
        'power = "none"',
        'power = "supply"',
        "power: is 'supply'; a constant-flow pump needs none: write power",
    ),
    ("bench-stepper", 'power = "supply"', 'power = "mains"', "power: is 'mains'; input should be 'sealed-cell'"),
    (
        "implantable-20ml",
        "[life_cap_years]\nvalue = 7.0",
        "[life_cap_years]\nvalue = 0.2",
        "end_of_service_after_eri_days.value: is 90.0; it must be below life_cap_years, which is 0.2",
    ),
    (
        "implantable-20ml",
        "[patient_lockout_min_s]\nvalue = 300.0",
        "[patient_lockout_min_s]\nvalue = 3600.0",
        "patient_boluses_per_day_max.value: is 100; with patient_lockout_min_s, which is 3600.0, a day holds",
    ),
    (
        "implantable-20ml",
        "[patient_bolus_max_ul]\nvalue = 1000.0",
        "[patient_bolus_max_ul]\nvalue = 1001.0",
        "patient_bolus_max_ul.value: is 1001.0; it must be at most bolus_max_ul, which is 1000.0",
    ),
    (
        "implantable-20ml",
        "[step_volume_nl]\nvalue = 10.0",
        "[step_volume_nl]\nvalue = 0.0",
        "step_volume_nl.value: is 0.0; input should be greater than 0",
    ),
    (
        "implantable-20ml",
        "[step_volume_nl]\nvalue = 10.0",
        "[step_volume_nl]\nvalue = 0.0001",
        "rate_max_ul_per_h.value: is 1000.0; with step_volume_nl, which is 0.0001, it needs a step more often",
    ),
    (
        "implantable-20ml",
        "[rollers]\nvalue = 3",
        "[rollers]\nvalue = 200",
        "rollers.value: is 200; it must be below steps_per_revolution, which is 200",
    ),
    (
        "implantable-20ml",
        "[tubing_volume_ul]\nvalue = 199.0",
        "[tubing_volume_ul]\nvalue = 20000.0",
        "tubing_volume_ul.value: is 20000.0; it must be below reservoir_volume_ul, which is 20000.0",
    ),
    (
        "valve-gated-latch",
        "[shortest_shot_interval_s]\nvalue = 4.0",
        "[shortest_shot_interval_s]\nvalue = 8.0",
        "rate_max_ul_per_h.value: is 1200.0; a shot of 2000.0 nL every 8.0 s comes to at most 900",
    ),
]


@pytest.mark.parametrize(
    ("model", "old", "new", "sentence"), FAULTS_OF_KINDS, ids=[fault[3].split(";")[0] for fault in FAULTS_OF_KINDS]
)
def test_a_fault_of_a_kind_of_pump_is_named_with_its_cure(model, old, new, sentence, model_file) -> None:
    with pytest.raises(ProfileError) as caught:
        load_model(model_file((old, new), model=model))
    assert sentence in str(caught.value)
