"""The crash sweep strikes every yield point, finds planted bugs, and finds nothing where nothing is planted."""

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import pytest
from click.testing import CliRunner

from bench.campaign.scoring import FindingKind
from bench.campaign.sweep import Part, Selection, any_command, planned, run_sweep
from bench.campaign.sweep_commands import commands
from bench.campaign.sweep_host import Kill, Process, When
from bench.campaign.sweep_points import Point, Strike, host_points, point_from
from bench.campaign.sweep_stop import InTheWay, Trouble
from bench.campaign.sweep_trial import run_point
from bench.cli import cli
from bench.errors import SetupRefused
from driver.dosing import Dosing
from driver.journal import Journal
from driver.stopping import Stopper
from firmware_mock.faults.swept_pump import SweptPump
from firmware_mock.firmware.dosing import Dosing as DeviceDosing
from firmware_mock.firmware.therapy import Therapy

BOLUS = any_command("bolus")


class Unsynced:
    """Storage that writes and never syncs."""

    def __init__(self, disk):
        self._disk = disk

    def exists(self, path):
        return self._disk.exists(path)

    def read(self, path):
        return self._disk.read(path)

    def write_and_sync(self, path, offset, data):
        self._disk.write(path, offset, data)

    def lock(self, path, holder):
        return self._disk.lock(path, holder)


class ForgetfulPump(SweptPump):
    """Keeps the ids of its commands in memory that a reset clears."""

    def restart(self):
        self._firmware = self.new_firmware()


def sweep(*parts, command="bolus", every=1, pairs=0, **planted):
    run = partial(run_point, **planted) if planted else run_point
    with ThreadPoolExecutor(1) as executor:
        return run_sweep(executor, Selection((command,), parts, every, pairs), run=run)


def test_nothing_is_found_at_one_point_in_sixty_of_all():
    with ThreadPoolExecutor(1) as executor:
        tally = run_sweep(executor, Selection(every=60, pairs=120))
    assert tally.findings == []
    assert tally.missed == []
    assert {name for name, _ in tally.runs} >= set(commands())


def test_every_yield_point_of_a_bolus_is_struck():
    tally = sweep(Part.HOST)
    assert {kind for _, kind in tally.there} == {"Transport", "Clock", "Storage", "Lock"}
    assert all(tally.struck_of(*kind) == times > 0 for kind, times in tally.there.items())
    assert tally.missed == []
    assert tally.findings == []


def test_every_place_in_the_pump_but_its_bytes_is_struck_in_a_calibration():
    undisturbed = run_point(any_command("calibration"), Point()).undisturbed
    places = {place: times for place, times in undisturbed.places.items() if place != "byte" and times}
    assert set(places) == {"before-event", "after-event", "sending", "chip", "in-chip"}
    for place, times in places.items():
        for nth in range(times):
            run = run_point(any_command("calibration"), Point(pump=Strike(place, nth, "cut")))
            assert run.has_struck
            assert run.findings == ()


def test_killed_after_a_call_is_killed_before_the_next():
    calls = run_point(BOLUS, Point()).undisturbed.calls
    for nth in range(0, len(calls) - 1, 4):
        after = run_point(BOLUS, Point(host=Kill(nth, When.AFTER)))
        before = run_point(BOLUS, Point(host=Kill(nth + 1, When.BEFORE)))
        assert after.undisturbed.calls == before.undisturbed.calls[: nth + 1]
        assert after.findings == before.findings == ()


def test_a_dead_process_does_nothing_to_the_outside():
    process, done = Process(Kill(1, When.AFTER)), []
    process.call("first", lambda: done.append(1))
    for _ in range(3):
        with pytest.raises(BaseException, match=r"^$") as killed:
            process.call("any", lambda: done.append(2))
        assert not isinstance(killed.value, Exception)
    assert done == [1, 2]
    assert len(process.calls) == 2


def test_a_write_is_swept_with_nothing_a_part_and_all_of_it_on_the_disk():
    points = [str(point) for point in host_points(run_point(BOLUS, Point()).undisturbed)]
    halves = [point for point in points if point.endswith(("nothing", "head", "tail"))]
    assert len(halves) == 3 * sum("/inside/nothing" in point for point in points) >= 9


def test_a_journal_that_is_not_synced_is_found():
    counts = sweep(Part.HOST, every=2, storage=Unsynced).counts
    assert counts[FindingKind.FALSE_NOT_DELIVERED.value] > 0


def test_a_commit_journalled_after_it_was_sent_is_found(monkeypatch):
    noted, journal_commit, send_commit = [], Journal.commit, Dosing._commit

    def note_later(journal, id_, kind, *rest):
        if kind == "refill":
            noted[:] = [(journal, id_, kind, *rest)]
        else:
            journal_commit(journal, id_, kind, *rest)

    def send_first(dosing, *arguments):
        dose = send_commit(dosing, *arguments)
        if noted and noted[0][0] is dosing._journal:
            journal_commit(*noted.pop())
        return dose

    monkeypatch.setattr(Journal, "commit", note_later)
    monkeypatch.setattr(Dosing, "_commit", send_first)
    assert sweep(Part.HOST, command="refill").counts[FindingKind.FALSE_NOT_DELIVERED.value] > 0


def test_a_pump_that_forgets_ids_at_a_reset_is_found():
    counts = sweep(Part.PUMP, every=20, build=ForgetfulPump).counts
    assert counts[FindingKind.FALSE_NOT_DELIVERED.value] + counts[FindingKind.UNRESOLVED.value] > 0


def test_a_motor_that_starts_before_the_command_is_in_memory_is_found(monkeypatch):
    start_bolus = Therapy.start_bolus

    def motor_first(therapy, run):
        therapy._motor.run_steps(run.step_ticks, run.steps, lambda: None)
        start_bolus(therapy, run)

    monkeypatch.setattr(Therapy, "start_bolus", motor_first)
    cuts = [Point(pump=Strike("in-chip", nth, "cut")) for nth in range(11)]
    found = {finding.kind for point in cuts for finding in run_point(BOLUS, point).findings}
    assert FindingKind.FALSE_NOT_DELIVERED in found


def test_a_stop_that_lets_a_late_commit_live_is_found(monkeypatch):
    def stop(dosing, _):
        dosing._therapy.stop()
        return dosing._stopped()

    monkeypatch.setattr(DeviceDosing, "stop", stop)
    late = [Point(way=InTheWay(Trouble.LATE_COMMIT, nth)) for nth in range(6)]
    said = {finding.sentence for point in late for finding in run_point(any_command("interrupt"), point).findings}
    assert "STOP was not confirmed" in said


def test_a_stop_that_needs_the_journal_is_found(monkeypatch):
    stop = Stopper.stop

    def journal_first(stopper):
        stopper._journal.stop(confirmed=False)
        return stop(stopper)

    monkeypatch.setattr(Stopper, "stop", journal_first)
    findings = run_point(any_command("stop"), Point(way=InTheWay(Trouble.JOURNAL_UNWRITABLE, 0))).findings
    assert "STOP was not confirmed" in [finding.sentence for finding in findings]


@pytest.mark.parametrize(
    ("command", "point"),
    [
        ("stop", Point(way=InTheWay(Trouble.JOURNAL_FULL, 0))),
        ("stop", Point(way=InTheWay(Trouble.JOURNAL_UNWRITABLE, 3))),
        ("stop", Point(way=InTheWay(Trouble.LEASE_ELSEWHERE, 4))),
        ("in-doubt", Point()),
        ("interrupt", Point(host=Kill(30, When.INTERRUPTED))),
        ("interrupt", Point(way=InTheWay(Trouble.LATE_COMMIT, 3))),
        ("interrupt", Point(way=InTheWay(Trouble.COMMIT_AGAIN, 40))),
    ],
    ids=str,
)
def test_stop_gets_through(command, point):
    run = run_point(any_command(command), point)
    assert run.has_struck
    assert run.findings == ()


def test_a_run_is_the_same_again_from_its_point():
    for _, task in zip(range(3), planned(Selection(("leased",), (Part.PAIRS,), pairs=3))[1], strict=False):
        for point in task.points:
            assert point_from(str(point)) == point
            assert run_point(any_command("leased"), point) == run_point(any_command("leased"), point)


def test_counts_do_not_depend_on_the_number_of_workers():
    selection = Selection(("refill",), (Part.HOST,), every=2)
    with ProcessPoolExecutor(2) as executor:
        assert run_sweep(executor, selection) == sweep(Part.HOST, command="refill", every=2)


def test_the_command_counts_yield_points_and_replays_a_point():
    asked = ["campaign", "sweep", "--command", "refill", "--part", "host", "--every", "4", "--workers", "1"]
    ran = CliRunner().invoke(cli, [*asked, "--json"])
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.output)
    assert not any(said["counts"].values())
    assert said["missed"] == []
    assert 0 < said["points"]["refill"]["Clock"][0] < said["points"]["refill"]["Clock"][1]
    told = CliRunner().invoke(cli, ["campaign", "sweep", "--command", "refill", "--at", "host/9/before/all"])
    assert told.exit_code == 0, told.output
    assert "0 findings" in told.output


def test_a_point_that_is_never_reached_fails_the_command():
    ran = CliRunner().invoke(cli, ["campaign", "sweep", "--command", "refill", "--at", "host/9999/before/all"])
    assert ran.exit_code == 1
    assert "NEVER REACHED" in ran.output


@pytest.mark.parametrize(
    "asked",
    [["--command", "gremlin"], ["--part", "gremlin"], ["--at", "host/1/before/all"]]
    + [["--command", "bolus", "--at", wrong] for wrong in ("gremlin", "host/x/before/all", "gremlin/3")],
    ids=str,
)
def test_what_cannot_be_swept_is_a_usage_error(asked):
    ran = CliRunner().invoke(cli, ["campaign", "sweep", *asked])
    assert ran.exit_code == 2
    assert "Error" in ran.output


def test_a_text_that_is_no_point_says_how_one_looks():
    with pytest.raises(SetupRefused, match="write host/12/before/all"):
        point_from("pump/byte/4/kick")
