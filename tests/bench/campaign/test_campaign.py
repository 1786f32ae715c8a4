"""The campaign finds planted bugs, gives the same counts however it is run, and replays what it found."""

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.campaign.campaign import Selection, run_campaign
from bench.campaign.scoring import FindingKind
from bench.campaign.trial import DEVICE_FAULTS, LINK_FAULTS, plan_as_json, plan_from_json, run_drawn, run_planned
from bench.cli import cli
from bench.errors import SetupRefused
from driver import DoseUncertain
from firmware_mock.faults import LonePump

SEEDS = Path(__file__).parents[2] / "seeds"
OPEN = {
    "stuck-motor": "the mock calls a bolus DONE whose steps its encoder did not see",
    "second-host": "a COMMIT is answered with the result of another host's command that has the same id",
}
DEAF = Selection(1, ("drop-reply", "stuck-line"))


def blind_retry(pump, volume_ul, wait):
    """The bug that exactly-once dosing is there to prevent: no answer, so once more."""
    try:
        return pump.bolus(volume_ul, wait=wait)
    except DoseUncertain:
        for id_ in pump.uncertain_doses:
            pump.resolve(id_, by="nobody")
        return pump.bolus(volume_ul, wait=wait)


class ForgetfulPump(LonePump):
    """Keeps the ids of its commands in memory that a reset clears."""

    def restart(self):
        self._firmware = self.new_firmware()


def forgetful(world, profile, clock_error_ppm):
    return ForgetfulPump(world, profile, clock_error_ppm=clock_error_ppm)


def campaign(selection, doses, **planted):
    with ThreadPoolExecutor(1) as executor:
        return run_campaign(executor, selection, doses, run_trial=partial(run_drawn, **planted))


def test_a_blind_retry_is_found_as_a_double_delivery_within_400_doses():
    assert campaign(DEAF, 400, give_bolus=blind_retry).counts[FindingKind.DOUBLE.value] > 0


def test_a_pump_that_forgets_ids_at_a_reset_is_found_within_120_doses():
    counts = campaign(Selection(1, ("reboot", "drop-reply")), 120, build=forgetful).counts
    assert counts[FindingKind.FALSE_NOT_DELIVERED.value] > 0
    assert counts[FindingKind.UNRESOLVED.value] > 0


def test_the_same_doses_without_a_planted_bug_show_nothing():
    assert not campaign(Selection(1, ("reboot", "drop-reply")), 120).findings


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(kind, marks=pytest.mark.xfail(strict=True, reason=OPEN[kind]) if kind in OPEN else ())
        for kind in LINK_FAULTS + DEVICE_FAULTS
    ],
)
def test_no_fault_alone_hurts_a_dose(first):
    tally = campaign(Selection(3, (first,), pairs=False), 60)
    assert tally.findings == []
    assert tally.faulted[(first,)] >= 60
    assert tally.slowest_recovery_s <= 2.0


def test_counts_do_not_depend_on_the_number_of_workers():
    alone = campaign(DEAF, 150)
    with ProcessPoolExecutor(2) as executor:
        assert run_campaign(executor, DEAF, 150) == alone


def test_a_campaign_of_another_seed_is_another():
    assert Selection(1, ("flip",)).seed_of(0) != Selection(2, ("flip",)).seed_of(0)


def test_every_kind_and_every_pair_comes_in_turn():
    selection = Selection(1, ("flip", "late", "echo"))
    drawn = [selection.kinds_of(trial) for trial in range(6)]
    assert drawn == [("flip",), ("late",), ("echo",), ("flip", "late"), ("flip", "echo"), ("late", "echo")]
    assert selection.kinds_of(6) == ("flip",)


def test_a_dose_whose_fault_did_not_act_is_drawn_again_and_counted_apart():
    outcome = run_drawn(5, ("power-cut", "echo"))
    idle = [story for story in outcome.stories if not story.is_valid]
    assert idle
    assert len(outcome.plan.doses) == len(outcome.stories) > len(idle)
    tally = campaign(Selection(5, ("power-cut", "echo")), 50)
    assert tally.idle[("power-cut", "echo")] > 0


def test_a_campaign_in_which_no_fault_can_act_is_an_error():
    def without_faults(seed, kinds):
        return run_planned(plan_from_json(b'{"seed": 1, "basal": false, "doses": []}'))

    with ThreadPoolExecutor(1) as executor, pytest.raises(SetupRefused, match="nothing was tested"):
        run_campaign(executor, Selection(1, ("flip",)), 10, run_trial=without_faults)


@pytest.mark.parametrize("kinds", [("late", "reboot"), ("clock-drift", "bit-rot"), ("second-host", "half-open")])
def test_a_trial_is_the_same_again_from_its_plan(kinds):
    outcome = run_drawn(11, kinds)
    assert run_planned(plan_from_json(plan_as_json(outcome.plan))) == outcome


def test_an_exception_that_the_driver_did_not_announce_is_a_finding():
    def broken(pump, volume_ul, wait):
        raise ZeroDivisionError("planted")

    findings = run_drawn(1, ("flip",), give_bolus=broken).findings
    assert [finding.kind for finding in findings] == [FindingKind.UNHANDLED]
    assert "planted" in findings[0].sentence


@pytest.mark.parametrize("path", sorted(SEEDS.glob("*.json")), ids=lambda path: path.stem)
def test_what_once_was_found_is_found_no_more(path):
    assert run_planned(plan_from_json(path.read_bytes())).findings == ()


def test_the_command_prints_counts_and_coverage_and_replays_a_trial(tmp_path):
    asked = ["campaign", "--doses", "100", "--seed", "4", "--faults", "flip,late", "--workers", "1"]
    ran = CliRunner().invoke(cli, [*asked, "--json"])
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.output)
    assert said["doses"] >= 100
    assert set(said["faulted"]) == {"flip", "late", "flip+late"}
    assert not any(said["counts"].values())
    kept = tmp_path / "plan.json"
    told = CliRunner().invoke(cli, [*said["replay"].split()[1:], "2", "--save", str(kept)])
    assert told.exit_code == 0, told.output
    assert CliRunner().invoke(cli, ["campaign", "--replay", str(kept)]).output == told.output


@pytest.mark.parametrize("asked", [["--faults", "gremlins"], ["--replay", "no-such-file.json"]])
def test_what_cannot_be_run_is_a_usage_error(asked):
    ran = CliRunner().invoke(cli, ["campaign", *asked])
    assert ran.exit_code == 2
    assert "gremlins" in ran.output or "no-such-file" in ran.output
