"""What the export tests share: C compiler, tshark, Kaitai Struct's compiler; a test that lacks its own is skipped."""

import importlib.util
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from protocol.export import FORMATS

LINKTYPE_USER0 = 147
Gcc = Callable[..., None]
Packet = dict[str, list[ElementTree.Element]]
Tshark = Callable[[str, list[bytes]], list[Packet]]
CompileKsy = Callable[[str], Any]

MISSING_MODULE = 2
COMPILE = f"""
let compiler, yaml;
try {{
    compiler = require("kaitai-struct-compiler");
    yaml = require("js-yaml");
}} catch (error) {{
    console.error(error.message.split("\\n")[0]);
    process.exit({MISSING_MODULE});
}}
const fs = require("fs");
compiler.compile("python", yaml.load(fs.readFileSync("theca_frame.ksy", "utf8")), null, false).then((files) => {{
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(name, text);
}}).catch((error) => {{ console.error(error); process.exit(1); }});
"""


@pytest.fixture(scope="session")
def gcc() -> Gcc:
    """Runs gcc as C11 with all warnings as errors; the test is skipped where there is none."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed: the C header was not compiled (apt-get install gcc)")

    def run(*arguments: str | Path) -> None:
        command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture
def header(tmp_path: Path) -> Path:
    """The exported C header as a file."""
    path = tmp_path / "theca_protocol.h"
    path.write_text(FORMATS["c-header"](), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tshark(tmp_path_factory: pytest.TempPathFactory) -> Tshark:
    """Packets of bytes through tshark with a Lua script; the fields of each by name."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed: the Lua dissector was not run (apt-get install tshark)")
    folder = tmp_path_factory.mktemp("wireshark")
    script, capture = folder / "theca.lua", folder / "session.pcap"

    def run(text: str, packets: list[bytes]) -> list[Packet]:
        script.write_text(text, encoding="utf-8")
        capture.write_bytes(_pcap(packets))
        command = [program, "-n", "-X", f"lua_script:{script}", "-r", str(capture), "-T", "pdml"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=50)
        errors = done.stderr.decode()
        assert done.returncode == 0, errors
        assert "Lua" not in errors, errors
        dissected = [_fields(packet) for packet in ElementTree.fromstring(done.stdout).iter("packet")]
        assert len(dissected) == len(packets)
        assert not any("_ws.lua.error" in packet or "_ws.malformed" in packet for packet in dissected)
        return dissected

    return run


def _pcap(packets: list[bytes]) -> bytes:
    records = [
        struct.pack("<IIII", 1, second, len(packet), len(packet)) + packet for second, packet in enumerate(packets)
    ]
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINKTYPE_USER0) + b"".join(records)


def _fields(packet: ElementTree.Element) -> Packet:
    found: Packet = {}
    for element in packet.iter("field"):
        found.setdefault(element.get("name", ""), []).append(element)
    return found


@pytest.fixture(scope="session")
def compile_ksy(tmp_path_factory: pytest.TempPathFactory) -> CompileKsy:
    """The Python class that Kaitai Struct's compiler makes of a .ksy."""
    pytest.importorskip("kaitaistruct", reason="kaitaistruct is not installed: the .ksy was not compiled")
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the .ksy was not compiled")

    def run(text: str) -> Any:
        folder = tmp_path_factory.mktemp("kaitai")
        (folder / "theca_frame.ksy").write_text(text, encoding="utf-8")
        done = subprocess.run(
            [node, "-e", COMPILE], cwd=folder, capture_output=True, text=True, check=False, timeout=50
        )
        if done.returncode == MISSING_MODULE:
            pytest.skip(
                f"the .ksy was not compiled: {done.stderr.strip()} (npm install kaitai-struct-compiler js-yaml)"
            )
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return _loaded(folder / "theca_frame.py").ThecaFrame

    return run


def _loaded(path: Path) -> Any:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
