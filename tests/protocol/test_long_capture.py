"""A slice of benchmarks/long_capture.py: the same code on fewer bytes, and proof that its figure can be exceeded."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from protocol import StreamDecoder

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "long_capture.py"
SLICE_BYTES = 16 << 20


@pytest.fixture(scope="module")
def long_capture() -> ModuleType:
    """The module of the benchmark, loaded from its file: benchmarks/ is no package."""
    spec = importlib.util.spec_from_file_location("thecabench_long_capture", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


def test_a_long_capture_leaves_less_than_a_mebibyte_behind(long_capture: ModuleType) -> None:
    result = long_capture.decode(long_capture.capture(SLICE_BYTES, seed=2))
    assert result.stream_bytes == SLICE_BYTES
    assert result.frames > SLICE_BYTES // 60
    assert result.rejects > 1000
    assert 0 < result.retained_bytes < long_capture.MOST_RETAINED_BYTES


def test_a_decoder_that_kept_its_frames_would_be_seen(
    long_capture: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hoarder(StreamDecoder):
        def feed(self, data: bytes) -> list[object]:  # type: ignore[override]
            self.hoard = [*getattr(self, "hoard", []), *super().feed(data)]
            return self.hoard

    monkeypatch.setattr(long_capture, "StreamDecoder", Hoarder)
    result = long_capture.decode(long_capture.capture(SLICE_BYTES // 32, seed=2))
    assert result.retained_bytes > long_capture.MOST_RETAINED_BYTES
