"""The trace of a life is the same in every Python: held against each newer one that has what the mock imports."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEWEST_MINOR = 20
CHOSEN = "THECABENCH_NEWER_PYTHON"
LIFE = r"""
import sys
sys.dont_write_bytecode = True
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/benchmarks"]
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.station import Station, read_rig, world_for
from years.living import DAY_NS, Life
uneven = PumpEffects(clock_error_ppm=3.7, seat_scatter_pct=0.5, head_temperature_ripple_k=0.3, creep_pct=2.0)
life = Life(seed=int(sys.argv[2]), effects=uneven)
life.programme()
cost = life.live(40 * DAY_NS)
rig = read_rig("sim")
world = world_for(rig, seed=int(sys.argv[2]))
balance = Station.from_rig_file(rig, world).ports["balance"].host
weights = 0
while world.monotonic() < 120.0:
    balance.write(b"SI\r\n")
    world.sleep(1.0)
    weights += balance.read(0.0).startswith(b"S ")
print("%d.%d" % sys.version_info[:2], cost, weights, life.world.trace_hash(), world.trace_hash())
"""


def newer_pythons():
    """Commands that may be a Python newer than this one: one that was named, those on the path, those beside this."""
    names = [f"python3.{minor}" for minor in range(sys.version_info.minor + 1, NEWEST_MINOR)]
    named = [os.environ[CHOSEN]] if CHOSEN in os.environ else []
    on_path = [found for name in names if (found := shutil.which(name))]
    beside = [str(found) for name in names for found in Path(sys.base_prefix).parent.glob(f"*/bin/{name}")]
    return [python for python in dict.fromkeys(named + on_path + beside) if runs(python)]


def runs(python):
    """Whether it is a Python at all: a version manager's stand-in for one that is not chosen is none."""
    return subprocess.run([python, "-c", "pass"], capture_output=True, timeout=50, check=False).returncode == 0


def lived_in(python, seed):
    """What a life printed there, or None and why it could not."""
    ran = subprocess.run(
        [python, "-c", LIFE, str(ROOT), str(seed)], capture_output=True, text=True, timeout=50, check=False
    )
    if ran.returncode == 0:
        return ran.stdout.split(maxsplit=1), ""
    return None, (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]


def test_a_life_leaves_the_same_trace_in_a_newer_python():
    compared, reasons = [], []
    (_, ours), _ = lived_in(sys.executable, 5)
    for python in newer_pythons():
        theirs, reason = lived_in(python, 5)
        if theirs is None:
            reasons.append(f"{Path(python).name}: {reason}")
            continue
        assert theirs[1] == ours, python
        compared.append(theirs[0])
    if not compared:
        found = "; ".join(reasons) or "none is installed"
        pytest.skip(f"no newer Python with what the mock imports ({found}); name one in {CHOSEN}")


def test_another_seed_leaves_another_trace():
    assert lived_in(sys.executable, 5)[0][1] != lived_in(sys.executable, 6)[0][1]
