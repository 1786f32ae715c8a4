"""The queue between a reader thread and the program."""

from __future__ import annotations

import pytest

from driver import PortLost, TransportError
from driver.transport.inbox import Inbox


def test_bytes_come_out_in_order_and_all_at_once():
    inbox = Inbox("port")
    inbox.put(b"ab")
    inbox.put(b"c")
    assert inbox.in_waiting == 3
    assert inbox.take(0.0) == b"abc"
    assert inbox.take(0.0) == b""


def test_what_does_not_fit_is_dropped_and_counted():
    inbox = Inbox("port", capacity_bytes=4)
    for chunk in (b"abc", b"def", b"ghi"):
        inbox.put(chunk)
    assert inbox.take(0.0) == b"abcd"
    assert inbox.dropped_bytes == 5
    inbox.put(b"j")
    assert inbox.take(0.0) == b"j"


def test_a_lost_port_still_gives_what_came_before():
    inbox = Inbox("port")
    inbox.put(b"last words")
    inbox.fail("unplugged")
    inbox.fail("and something later")
    assert inbox.in_waiting == 10
    assert inbox.take(1.0) == b"last words"
    with pytest.raises(PortLost, match=r"^port: the connection is gone \(unplugged\)"):
        inbox.take(1.0)
    with pytest.raises(PortLost):
        _ = inbox.in_waiting


def test_a_closed_port_is_told_from_a_lost_one():
    inbox = Inbox("port")
    inbox.close()
    inbox.fail("bad file descriptor")
    with pytest.raises(TransportError, match="was closed here") as caught:
        inbox.take(1.0)
    assert not isinstance(caught.value, PortLost)
