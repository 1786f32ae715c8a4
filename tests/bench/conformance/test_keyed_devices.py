"""A pump that has a key is held to what it must do for a host without it, and to nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from bench.conformance.checks_authentication import AUTHENTICATION
from protocol import (
    READ_ONLY_TYPES,
    Commit,
    HandshakeRequest,
    Hello,
    Nak,
    NakReason,
    PairRequest,
    Stop,
    Stopped,
    encode_payload,
)
from protocol.registry import DEFINITIONS, FIRST_REPLY_TYPE

KEY = bytes(range(16))
WITH_A_TRAILER = 0x11


class RefusesStrangersOtherwise:
    def device_sent(self, run) -> list[bytes]:
        nak = run.message(Nak)
        if nak is None or nak.reason != NakReason.UNAUTHENTICATED:
            return [run.raw]
        return [run.sent_as(payload=encode_payload(replace(nak, reason=NakReason.WRONG_STATE)))]


class Answers:
    """Answers STOP of strangers, plain or with a trailer, as if it were done."""

    def __init__(self, version: int) -> None:
        self._version = version

    def host_sent(self, run) -> list[bytes]:
        if run.type != Stop.TYPE or run.version != self._version:
            return [run.raw]
        self.line.inject_message(Stopped(1, 2, 3.0), run.seq)
        return []


class CountsIds:
    """Says another last command id once a request of a kind, plain or with a trailer, was there."""

    def __init__(self, type_byte: int, version: int) -> None:
        self._of = type_byte, version
        self._counted = 0

    def host_sent(self, run) -> list[bytes]:
        self._counted |= (run.type, run.version) == self._of
        return [run.raw]

    def device_sent(self, run) -> list[bytes]:
        hello = run.message(Hello)
        if hello is None:
            return [run.raw]
        changed = replace(hello, last_command_id=hello.last_command_id + self._counted)
        return [run.sent_as(payload=encode_payload(changed))]


FAULTS: dict[str, Callable[[], object]] = {
    "refuses strangers as in the wrong state": RefusesStrangersOtherwise,
    "stops for strangers": lambda: Answers(0x10),
    "takes any trailer": lambda: Answers(WITH_A_TRAILER),
    "counts an id for what it refused": lambda: CountsIds(Commit.TYPE, 0x10),
    "counts an id for what was forged": lambda: CountsIds(Stop.TYPE, WITH_A_TRAILER),
}


def test_the_simulated_pump_passes_what_a_pump_with_a_key_must_do_and_the_rest_is_skipped_with_the_reason(tested):
    run = tested(key=KEY)
    assert run.failed == set()
    for outcome in run.report.outcomes:
        if not outcome.check.needs_no_key:
            assert outcome.reason == "it has a key, and what this sends it takes only from who has that"
    passed = {outcome.check.name for outcome in run.report.outcomes} - run.skipped
    assert {"orders-need-the-key", "forged-frames-come-to-nothing", "status-read", "bulk-read-whole"} <= passed
    assert {"committed-twice-dosed-once", "lease-held-for-others", "bad-crc-ignored"} <= run.skipped
    assert run.report.pump_left.startswith("stopped")


def test_every_kind_of_order_is_tried_and_every_one_of_them_is_refused(tested):
    sent = []

    class Listens:
        def host_sent(self, run) -> list[bytes]:
            sent.append(run.type)
            return [run.raw]

    tested(Listens(), key=KEY, checks=AUTHENTICATION)
    orders = {number for number in DEFINITIONS if number < FIRST_REPLY_TYPE} - READ_ONLY_TYPES
    assert set(sent) >= orders - {HandshakeRequest.TYPE, PairRequest.TYPE}


def test_every_kind_of_wrong_behaviour_is_expected_to_fail_something(expected):
    assert set(FAULTS) == set(expected["keys"])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_pump_with_a_key_that(fault: str, tested, expected):
    run = tested(FAULTS[fault](), key=KEY, checks=AUTHENTICATION)
    assert run.failed == expected["keys"][fault]
