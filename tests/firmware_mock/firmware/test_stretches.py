"""The account of what any window of time may hold, against sums over all that a motor could have done."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.firmware.stretches import STRETCHES_KEPT, Outlook, Stretch, most_in_window_ul, with_stretch

STEP_NL = 10.0
SLACK_UL = 1e-9
TICKS = st.sampled_from([0, 3, 7, 20, 100])
LASTS = st.integers(1, 400)


@st.composite
def pasts(draw, most=8):
    """Stretches that end now, the steps counted in all, and the instant; steps that were due are missing, or there are
    more.
    """
    stretches, steps, now_us = [], 0, 0
    for ticks, lasts in draw(st.lists(st.tuples(TICKS, LASTS), min_size=1, max_size=most)):
        stretches.append(Stretch(now_us, steps, ticks, STEP_NL))
        due = lasts // ticks if ticks else 0
        steps += draw(st.one_of(st.integers(0, due), st.integers(0, 3 * due)))
        now_us += lasts
    return tuple(stretches), steps, now_us


def could_hold_ul(stretches, steps_now, futures, now_us, begin_us, end_us):
    """Each stretch with as many steps in the window as its rate allows and those that were too many, and no more than
    it has made.
    """
    total = Fraction(0)
    ends = [*(stretch.began_us for stretch in stretches[1:]), now_us]
    counts = [*(stretch.began_at_steps for stretch in stretches[1:]), steps_now]
    for stretch, ended_us, counted in zip(stretches, ends, counts, strict=True):
        overlap = min(ended_us, end_us) - max(stretch.began_us, begin_us)
        if overlap > 0 and stretch.step_ticks:
            made, lasts_us = counted - stretch.began_at_steps, ended_us - stretch.began_us
            too_many = max(0, made - lasts_us // stretch.step_ticks - 1)
            evenly = Fraction(overlap, stretch.step_ticks) + too_many
            total += made if overlap == lasts_us else min(evenly, made)
    for (from_us, ticks), until_us in zip(futures, [*(f for f, _ in futures[1:]), 10**9], strict=True):
        overlap = min(until_us, end_us) - max(from_us, begin_us)
        if overlap > 0 and ticks:
            total += Fraction(overlap, ticks)
    return float(total) * STEP_NL * 1e-3


@given(pasts(), st.lists(st.tuples(TICKS, LASTS), min_size=1, max_size=5), st.integers(1, 600), st.integers(0, 300))
def test_no_window_holds_more_and_one_holds_as_much(past, to_come, window_us, until_us):
    stretches, steps, now_us = past
    futures, from_us = [], now_us
    for ticks, lasts in to_come:
        futures.append((from_us, ticks))
        from_us += lasts
    rates = tuple(STEP_NL * 1e-3 / ticks if ticks else 0.0 for _, ticks in futures)
    outlook = Outlook(now_us, tuple(from_us for from_us, _ in futures), rates)
    most_ul = most_in_window_ul(stretches, steps, outlook, window_us, now_us + until_us)
    all_of_them = [
        could_hold_ul(stretches, steps, futures, now_us, begin_us, begin_us + window_us)
        for begin_us in range(now_us - window_us, now_us + until_us + 1)
    ]
    assert max(all_of_them) <= most_ul + SLACK_UL
    assert most_ul <= max(all_of_them) + STEP_NL * 1e-3


@given(pasts(most=80), st.integers(1, 20_000))
def test_stretches_put_together_or_given_up_never_make_it_less(past, window_us):
    stretches, steps, now_us = past
    kept = ()
    for stretch in stretches:
        kept = with_stretch(kept, stretch, kept_us=window_us)
        assert len(kept) <= STRETCHES_KEPT
    rest = Outlook(now_us, (now_us,), (0.0,))
    assert most_in_window_ul(kept, steps, rest, window_us, now_us) >= (
        most_in_window_ul(stretches, steps, rest, window_us, now_us) - SLACK_UL
    )


def test_a_stretch_of_another_step_volume_is_put_together_as_the_larger():
    made = [Stretch(0, 0, 10, 9.0), Stretch(100, 10, 5, 12.0)]
    stretches = tuple(made) + tuple(Stretch(200 + place, 30, 0, 12.0) for place in range(STRETCHES_KEPT - 2))
    kept = with_stretch(stretches, Stretch(1000, 30, 0, 12.0), kept_us=10**6)
    assert len(kept) == STRETCHES_KEPT
    rest = Outlook(1000, (1000,), (0.0,))
    assert most_in_window_ul(kept, 30, rest, 1000, 1000) >= 10 * 9e-3 + 20 * 12e-3
