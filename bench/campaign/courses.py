"""Whether a therapy of a trial kept to its two rates: a bridge to its volume, a flex therapy to the clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.campaign.claims import Turned
from bench.campaign.conduct import Span
from bench.campaign.orders import is_first_of

SLACK_NS = 500_000_000
"""For a write to the memory, and 500 ppm of the time until noon."""

_NS_PER_TICK = 1000


def wrong_bridge(turned: Sequence[Turned], steps: int, step_volume_ul: float, *, restarts: int) -> Iterator[str]:
    """What is wrong with a bridge, a sentence each: first its volume at one rate, then the other without an end.

    A restart of the pump may leave steps in doubt, which it then does not make again.
    """
    made, goes_on = 0, False
    for stretch in turned:
        is_first = is_first_of(stretch.step_ticks, steps, step_volume_ul)
        if is_first == (stretch.planned is None):
            yield f"{'no end of' if is_first else 'an end after'} a bridge's volume: {stretch}"
        if is_first and goes_on:
            yield f"a bridge went back to its first rate: {stretch}"
        if not is_first and not goes_on and not restarts and made != steps:
            yield f"a bridge went over to its second rate after {made} of {steps} steps"
        goes_on = goes_on or not is_first
        made += stretch.made


def wrong_flex(
    turned: Sequence[Turned], steps: int, step_volume_ul: float, *, noon: Span, restarts: int
) -> Iterator[str]:
    """What is wrong with a flex therapy, a sentence each: one rate until noon, the other from then on.

    `noon` is from when to when it was, in the world's time. The first rate's last steps may come from the timer of a
    pump that hangs, so what outlasts noon counts without `restarts` alone.
    """
    for stretch in turned:
        is_first = is_first_of(stretch.step_ticks, steps, step_volume_ul)
        turned_until_ns = stretch.began_ns + stretch.made * stretch.step_ticks * _NS_PER_TICK
        if stretch.planned is not None:
            yield f"a flex therapy was to end: {stretch}"
        if not is_first and stretch.began_ns < noon.from_ns - SLACK_NS:
            yield f"a flex therapy was ahead of noon at {noon.from_ns / 1e9:.3f} s: {stretch}"
        if is_first and stretch.began_ns > noon.until_ns + SLACK_NS:
            yield f"a flex therapy was behind noon at {noon.until_ns / 1e9:.3f} s: {stretch}"
        if is_first and not restarts and turned_until_ns > noon.until_ns + SLACK_NS:
            yield f"a flex therapy outlasted noon at {noon.until_ns / 1e9:.3f} s: {stretch}"
