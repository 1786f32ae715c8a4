"""The dialogue itself fails on whatever is left over, and says what is likely wrong."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("use", "cause"),
    [
        (lambda wire: wire.write(b"SI\n"), r"where pair 1 has b'SI\\r\\n'; has the order of commands"),
        (lambda wire: [wire.write(b"SI\r\n"), wire.write(b"S\r\n")], "after the last pair; is a pair missing"),
        (lambda wire: wire.check_nothing_is_left(), "was never sent; did the driver stop early"),
        (lambda wire: [wire.write(b"SI"), wire.check_nothing_is_left()], "was never sent"),
        (lambda wire: [wire.write(b"SI\r\n"), wire.check_nothing_is_left()], "never read; does the driver expect"),
    ],
)
def test_leftovers_fail_with_the_likely_cause(dialogue_class, clock, use, cause):
    with pytest.raises(pytest.fail.Exception, match=cause):
        use(dialogue_class(clock, [(b"SI\r\n", b"S S 1.0 g\r\n")]))
