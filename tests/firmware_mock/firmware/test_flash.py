"""The chip: bits are cleared byte by byte and set by pages, and only as far as power lasts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock import World
from firmware_mock.firmware.flash import ERASE_NS, PAGE_BYTES, PROGRAM_NS, Flash, PowerLost


@given(st.binary(max_size=64), st.binary(max_size=64), st.integers(0, 100))
def test_programming_only_clears_bits(first, second, offset):
    flash, page = Flash(World()), bytearray(b"\xff" * PAGE_BYTES)
    flash.program(page, offset, first)
    flash.program(page, offset, second)
    for place in range(PAGE_BYTES):
        inside = place - offset
        wanted = 0xFF
        for octets in (first, second):
            wanted &= octets[inside] if 0 <= inside < len(octets) else 0xFF
        assert page[place] == wanted


@given(st.integers(0, 40))
def test_what_power_allows_for_is_programmed_and_no_more(fitting):
    flash, page = Flash(World()), bytearray(b"\xff" * PAGE_BYTES)
    flash.fails_ns = fitting * PROGRAM_NS
    if fitting < 32:
        with pytest.raises(PowerLost):
            flash.program(page, 0, bytes(32))
    else:
        flash.program(page, 0, bytes(32))
    assert page[:32].count(0) == min(fitting, 32)


def test_an_erasure_cut_short_leaves_neither_the_old_nor_a_clean_page():
    flash, page = Flash(World()), bytearray(range(256)) * (PAGE_BYTES // 256)
    old = bytes(page)
    flash.fails_ns = ERASE_NS - 1
    with pytest.raises(PowerLost):
        flash.erase(page)
    assert page not in (old, b"\xff" * PAGE_BYTES)
    assert all(new & before == before for new, before in zip(page, old, strict=True))


def test_work_is_done_one_after_the_other_in_time():
    world = World()
    flash, page = Flash(world), bytearray(PAGE_BYTES)
    flash.fails_ns = 2 * ERASE_NS + 10 * PROGRAM_NS
    flash.erase(page)
    flash.erase(page)
    with pytest.raises(PowerLost):
        flash.program(page, 0, bytes(11))
    world.sleep(1.0)
    flash.fails_ns = world.now_ns + ERASE_NS
    flash.erase(page)
    assert page == b"\xff" * PAGE_BYTES
