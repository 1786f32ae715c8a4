"""The campaign finds the bugs of benchmarks/planting/: here those that take few doses, in benchmarks/planted.py all."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench.campaign.campaign import Selection
from bench.campaign.trial import DEVICE_FAULTS, LINK_FAULTS

ROOT = Path(__file__).parents[3]
FEW_DOSES = 600
LAYERS = ["driver", "session", "pump"]
pytestmark = pytest.mark.usefixtures("unwatched")


@pytest.fixture(scope="module")
def catalogue() -> Iterator[ModuleType]:
    """All bugs, loaded from their folder: benchmarks/ is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield import_module("planting.catalogue")


@pytest.fixture
def planting(catalogue: ModuleType) -> Any:
    """What plants a bug and looks for it."""
    return import_module("planting.bug")


@pytest.fixture
def sealing(catalogue: ModuleType) -> Any:
    """The bugs of authentication."""
    return import_module("planting.sealing")


def test_there_are_at_least_34_bugs_each_under_faults_that_there_are(catalogue):
    assert len(catalogue.BUGS) >= 34
    assert len(catalogue.BUGS) == sum(map(len, catalogue.LAYERS.values()))
    assert {kind for bug in catalogue.BUGS.values() for kind in bug.faults} <= {*LINK_FAULTS, *DEVICE_FAULTS}


def test_the_tables_in_the_documentation_have_each_bug(catalogue, sealing):
    tables = (ROOT / "docs" / "campaign.md").read_text(encoding="utf-8")
    assert [name for name in catalogue.BUGS if f"| {name}, " not in tables] == []
    assert [bug.name for bug in sealing.SEAL_BUGS if f"| {bug.name} |" not in tables] == []


@pytest.mark.parametrize("layer", LAYERS)
def test_bugs_are_found_within_a_few_hundred_doses(catalogue, planting, layer):
    quick = [bug for bug in catalogue.LAYERS[layer] if bug.quick]
    assert len(quick) >= 5
    assert [bug.name for bug in quick if planting.search(bug, Selection(1, bug.faults), FEW_DOSES) is None] == []


def test_the_same_trials_without_a_bug_show_nothing(catalogue, planting):
    quick = [bug for bug in catalogue.BUGS.values() if bug.quick]
    for faults in {bug.faults for bug in quick}:
        assert planting.control(Selection(1, faults), last_trial=8) == []


def test_a_bug_is_gone_when_its_trial_is_over(catalogue, planting):
    selection = Selection(1, ("reboot",))
    planting.search(catalogue.BUGS["bolus-never-ends"], selection, 10)
    assert planting.control(selection, last_trial=1) == []


def test_each_bug_of_authentication_lets_a_changed_or_replayed_frame_in(sealing):
    few = {"forgery": 300, "replay": 4}
    for bug in sealing.SEAL_BUGS:
        assert sealing.search_sealed(bug, bug.found_by, few[bug.found_by])[1], bug.name
    for campaign, most in few.items():
        assert sealing.search_sealed(None, campaign, most)[1] == ""
