"""A wire test is a list of (sent, received) pairs; what is left over, on either side, fails with the likely cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

LATENCY_S = 0.004
Pair = tuple[bytes | None, bytes | list[tuple[float, bytes]]]


class Dialogue:
    """Fits `Transport`. A pair's reply is bytes, sent 4 ms after the command, or a list of (seconds after, bytes).

    A pair whose first part is None comes unasked, as soon as the pair before it is through.
    """

    def __init__(self, clock: Any, pairs: list[Pair], name: str = "hand:wire") -> None:
        self.name = name
        self._clock = clock
        self._pairs = list(pairs)
        self._done = 0
        self._written = b""
        self._to_host = b""
        self._on_the_way = 0
        self.unplugged = False
        self._send_unasked()

    @property
    def in_waiting(self) -> int:
        return len(self._to_host)

    def write(self, data: bytes) -> None:
        if self.unplugged:
            raise OSError("unplugged")
        self._written += data
        if self._done == len(self._pairs):
            pytest.fail(
                f"the driver sent {self._written!r} after the last pair; is a pair missing, or does it ask too often?"
            )
        expected, reply = self._pairs[self._done]
        assert expected is not None
        if self._written == expected:
            self._written = b""
            self._done += 1
            self._play(reply)
            self._send_unasked()
        elif not expected.startswith(self._written):
            pytest.fail(
                f"the driver sent {self._written!r} where pair {self._done + 1} has {expected!r}; has the order of "
                "commands or the line's end changed?"
            )

    def read(self, timeout_s: float) -> bytes:
        if not self._to_host:
            self._clock.wait(timeout_s, until=lambda: bool(self._to_host) or self.unplugged)
        if self.unplugged and not self._to_host:
            raise OSError("unplugged")
        data, self._to_host = self._to_host, b""
        return data

    def close(self) -> None:
        pass

    def check_nothing_is_left(self) -> None:
        if self._done < len(self._pairs):
            pytest.fail(
                f"{self._pairs[self._done][0]!r} and what follows was never sent; did the driver stop early, or was "
                "a reply taken for an error?"
            )
        if self._written:
            pytest.fail(f"{self._written!r} was sent and is no whole command of the pairs; is its end missing?")
        if self._to_host or self._on_the_way:
            pytest.fail(f"{self._to_host!r} was received and never read; does the driver expect a shorter reply?")

    def _play(self, reply: bytes | list[tuple[float, bytes]]) -> None:
        for delay_s, data in [(LATENCY_S, reply)] if isinstance(reply, bytes) else reply:
            self._on_the_way += 1
            self._clock.after(delay_s, lambda data=data: self._arrive(data))

    def _arrive(self, data: bytes) -> None:
        self._on_the_way -= 1
        self._to_host += data

    def _send_unasked(self) -> None:
        while self._done < len(self._pairs) and self._pairs[self._done][0] is None:
            self._done += 1
            self._play(self._pairs[self._done - 1][1])


@pytest.fixture
def dialogue_class() -> type[Dialogue]:
    return Dialogue


@pytest.fixture
def dialogue(clock: Any) -> Iterator[Callable[..., Dialogue]]:
    """Makes dialogues; at the end of the test nothing of them may be left over."""
    made: list[Dialogue] = []

    def make(*pairs: Pair) -> Dialogue:
        made.append(Dialogue(clock, list(pairs)))
        return made[-1]

    yield make
    for each in made:
        each.check_nothing_is_left()
