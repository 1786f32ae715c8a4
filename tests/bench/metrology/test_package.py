"""The package as a whole: what it exports, and what it does not drag in."""

import subprocess
import sys

import bench.metrology


def test_every_public_name_exists_and_is_documented() -> None:
    for name in bench.metrology.__all__:
        value = getattr(bench.metrology, name)
        if callable(value):
            assert value.__doc__, name


def test_importing_it_loads_neither_scipy_nor_anything_of_ours() -> None:
    script = (
        "import sys, bench.metrology; "
        "print(sorted({name.split('.')[0] for name in sys.modules} "
        "& {'scipy', 'pandas', 'driver', 'protocol', 'firmware_mock', 'pydantic'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
