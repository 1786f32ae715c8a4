"""The campaign shows no fault that hurts, gives the same counts however it is run, and replays what it found."""

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.campaign import trial
from bench.campaign.campaign import Selection, run_campaign
from bench.campaign.claims import Claim
from bench.campaign.host import Host
from bench.campaign.plan import plan_as_json, plan_from_json
from bench.campaign.scoring import FindingKind
from bench.campaign.trial import DEVICE_FAULTS, LINK_FAULTS, run_drawn, run_planned
from bench.cli import cli
from bench.errors import SetupRefused
from driver import Pump

SEEDS = Path(__file__).parents[2] / "seeds"
DEAF = Selection(1, ("drop-reply", "stuck-line"))


def campaign(selection, doses):
    with ThreadPoolExecutor(1) as executor:
        return run_campaign(executor, selection, doses)


@pytest.mark.parametrize("first", LINK_FAULTS + DEVICE_FAULTS)
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


def test_an_exception_that_the_driver_did_not_announce_is_a_finding(monkeypatch):
    def broken(pump, volume_ul, wait):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Pump, "bolus", broken)
    findings = run_drawn(1, ("flip",)).findings
    assert [finding.kind for finding in findings] == [FindingKind.UNHANDLED]
    assert "planted" in findings[0].sentence


def test_a_therapy_that_cannot_be_stopped_when_the_faults_are_over_is_a_finding(monkeypatch):
    monkeypatch.setattr(Host, "stop", lambda host: False)
    selection = Selection(2, ("flip",))
    findings = [finding for number in range(3) for finding in run_drawn(selection.seed_of(number), ("flip",)).findings]
    assert any(
        finding.kind is FindingKind.UNRESOLVED and finding.sentence.startswith("STOP is not") for finding in findings
    )


@pytest.mark.parametrize(("state", "is_a_lie"), [("uncertain", False), ("not_started", True)])
def test_of_a_dose_whose_result_the_pump_keeps_no_more_nothing_may_be_said_and_nothing_wrong(
    monkeypatch, state, is_a_lie
):
    finish = trial._Trial._finish

    def forgetful(self):
        monkeypatch.setattr(Host, "settle", lambda host, claim: Claim(state, id=claim.id))
        finish(self)

    monkeypatch.setattr(trial, "RESULTS_KEPT", 0)
    monkeypatch.setattr(trial._Trial, "_finish", forgetful)
    outcome = run_drawn(5, ("fragment",))
    assert any(story.claims[-1].state == "done" for story in outcome.stories) == (not is_a_lie)
    assert any(finding.kind is FindingKind.FALSE_NOT_DELIVERED for finding in outcome.findings) == is_a_lie


@pytest.mark.parametrize("path", sorted(SEEDS.glob("*.json")), ids=lambda path: path.stem)
def test_what_once_was_found_is_found_no_more(path):
    assert run_planned(plan_from_json(path.read_bytes())).findings == ()


@pytest.mark.timeout(300)
def test_ten_thousand_doses_of_all_faults_alone_and_in_pairs_show_nothing():
    selection = Selection(20, LINK_FAULTS + DEVICE_FAULTS)
    with ProcessPoolExecutor(2) as executor:
        tally = run_campaign(executor, selection, 10_000)
    assert tally.findings == []
    assert tally.never_acted(selection) == ()
    assert tally.slowest_recovery_s <= 2.0


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
