"""Real processes killed while they dose: nothing is found, a planted bug is, and what cannot be run says so."""

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.campaign import kill_lives
from bench.campaign.kill import run_kills
from bench.campaign.kill_mock import Turning, truth_of, turnings_in
from bench.campaign.scoring import FindingKind
from bench.cli import cli
from bench.errors import SetupRefused

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has neither ptys nor SIGKILL")
PLANTED = (sys.executable, str(Path(__file__).with_name("planted_kill_host.py")))
DEAF = """
import os
from bench.campaign import kill_host
kill_host._live = lambda *_: os._exit(0)
kill_host.serve_orders()
"""
BEGAN = b'{"at_ns": 1, "what": "began", "planned": 70}\n'
ENDED = b'{"at_ns": 5, "what": "ended", "planned": 70, "made": 69}\n'


@needs_fork
@pytest.mark.real_port
def test_twenty_killed_hosts_neither_double_a_dose_nor_say_what_is_not_so():
    ran = CliRunner().invoke(cli, ["campaign", "kill", "--times", "20", "--seed", "3", "--json"])
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.output)
    assert said["kills"] == 20 == sum(said["by_phase"].values())
    assert sum(times > 0 for times in said["by_phase"].values()) >= 4
    assert said["while_turning"] > 0
    assert said["doses_moved"] > 0
    assert set(said["said"]) <= {"done", "not_started"}
    assert not any(said["counts"].values())
    assert said["failures"] == {}


@needs_fork
@pytest.mark.real_port
def test_a_host_that_doses_again_after_a_crash_is_found_as_a_double_delivery(tmp_path):
    tally = run_kills(20, 1, tmp_path, host_command=PLANTED)
    assert tally.counts[FindingKind.DOUBLE.value] > 0
    assert any(finding.kind is FindingKind.DOUBLE and "starts" in finding.sentence for finding in tally.findings)


@needs_fork
@pytest.mark.real_port
@pytest.mark.parametrize(
    ("longest_s", "body", "sentence"),
    [
        (40.0, "pass", "the process that host processes are forked from has ended"),
        (1.0, "import time; time.sleep(30)", "has not ended within 1 s"),
        (40.0, DEAF, "a host process that nobody kills does not dose: it says nothing"),
    ],
)
def test_host_processes_that_cannot_be_had_end_the_campaign(tmp_path, monkeypatch, longest_s, body, sentence):
    monkeypatch.setattr(kill_lives, "LONGEST_LIFE_S", longest_s)
    with pytest.raises(SetupRefused, match=sentence):
        run_kills(1, 1, tmp_path, host_command=(sys.executable, "-c", body))


def test_the_truth_is_what_the_rotor_made_at_each_start():
    turnings = turnings_in(BEGAN + ENDED + BEGAN.replace(b"70", b"null") + ENDED.replace(b"70", b"null"))
    assert turnings == (Turning(70, 69, 1, 5), Turning(None, 69, 1, 5))
    assert truth_of(turnings, 0.01).starts == {70: (69,)}


@pytest.mark.parametrize("lines", [ENDED, BEGAN + BEGAN], ids=["ended first", "began twice"])
def test_turnings_out_of_place_are_no_truth(lines):
    with pytest.raises(ValueError, match="is out of place"):
        turnings_in(lines)
