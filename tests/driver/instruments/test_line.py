"""Lines out of bytes, whatever the pieces they come in."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driver.instruments.line import LONGEST_LINE_BYTES, LineChannel


class Pieces:
    """A transport that delivers what it is given, piece by piece."""

    name = "pieces"

    def __init__(self, clock, pieces):
        self._clock = clock
        self._pieces = list(pieces)

    @property
    def in_waiting(self):
        return len(self._pieces[0]) if self._pieces else 0

    def write(self, data): ...

    def read(self, timeout_s):
        if not self._pieces:
            self._clock.wait(timeout_s, lambda: False)
            return b""
        self._clock.sleep(0.001)
        return self._pieces.pop(0)

    def close(self): ...


def channel(clock, pieces):
    return LineChannel(Pieces(clock, pieces), clock, clock, ending=b"\r\n")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])), max_size=8),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_lines_are_the_same_in_any_chunking(clock, lines, cuts):
    data = "".join(line + "\r\n" for line in lines).encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    source = channel(clock, [data[a:b] for a, b in pairwise(edges)])
    got = []
    while (line := source.receive(1.0)) is not None:
        got.append(line)
    assert [line.text for line in got] == lines
    assert [line.time_s for line in got] == sorted(line.time_s for line in got)


def test_a_line_has_the_time_of_its_last_byte(clock):
    source = channel(clock, [b"S D 1", b".0 g\r", b"\n", b"S D"])
    assert source.receive(1.0).time_s == 0.003


def test_older_instruments_micro_sign_is_understood(clock):
    source = channel(clock, [b"S S 12 \xb5g\r\n", "S S 12 µg\r\n".encode()])
    assert [source.receive(1.0).text for _ in range(2)] == ["S S 12 µg"] * 2


def test_noise_without_end_becomes_one_line_and_not_all_memory(clock):
    source = channel(clock, [b"x" * (LONGEST_LINE_BYTES + 1), b"y\n"])
    assert len(source.receive(1.0).text) == LONGEST_LINE_BYTES + 1
    assert source.receive(1.0).text == "y"


def test_nothing_within_the_time_out_is_none(clock):
    assert channel(clock, [b"half"]).receive(1.5) is None
    assert 1.5 <= clock.monotonic() < 1.6


def test_discarding_takes_whole_lines_and_halves(clock):
    source = channel(clock, [b"one\ntwo\nthr", b"ee"])
    assert [line.text for line in source.discard()] == ["one", "two"]
    assert source.receive(1.0) is None
