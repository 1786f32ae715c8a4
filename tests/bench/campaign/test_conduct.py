"""What pump and driver do apart from single doses: each breach from the smallest record that deserves it."""

import pytest

from bench.campaign.conduct import Record, Span, Start, breaches
from bench.campaign.scoring import FindingKind
from protocol import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    Capability,
    CommandResult,
    CommandState,
    Commit,
    Event,
    EventCode,
    Hello,
    Nak,
    NakReason,
    Proposal,
    encode,
)

S = 1_000_000_000
DIGEST = bytes(8)
TO_DEVICE, TO_HOST = False, True


def commit(at_s, *, id_=7, seq=20):
    return at_s * S, TO_DEVICE, encode(Commit(id_, 1, DIGEST), seq=seq)


def proposal(at_s, *, id_=7, seq=19):
    return at_s * S, TO_HOST, encode(Proposal(id_, 1, DIGEST, 30_000, b""), seq=seq)


def result(at_s, *, seq=20, state=CommandState.RUNNING):
    return at_s * S, TO_HOST, encode(CommandResult(7, state, 0.0, 0.0, 1), seq=seq)


def nak(at_s, reason, *, seq=20):
    return at_s * S, TO_HOST, encode(Nak(reason, ""), seq=seq)


def boot(at_s):
    return at_s * S, TO_HOST, encode(Event(1, 0, EventCode.BOOT, 0))


def hello(at_s):
    reply = Hello(PROTOCOL_MAJOR, PROTOCOL_MINOR, DIGEST, Capability(0), 512, 1, 0, "any", "1", "1")
    return at_s * S, TO_HOST, encode(reply, seq=3)


def found(*line, starts=(), stops=(), leases=(), runs_on=False):
    record = Record(
        asked={100: Span(1 * S, 5 * S)},
        running_on={100} if runs_on else set(),
        stops=list(stops),
        leases=list(leases),
        starts=[Start(at_s * S, 100) for at_s in starts],
        line=list(line),
    )
    return {finding.kind for finding in breaches(record)}


def test_a_dose_that_starts_at_its_commit_is_in_order():
    assert found(proposal(2), commit(3), result(3), starts=[4]) == set()


@pytest.mark.parametrize(("start_s", "is_late"), [(33, False), (34, True)])
def test_a_start_more_than_30_s_after_the_last_commit_is_found(start_s, is_late):
    assert (FindingKind.OVERDUE in found(proposal(2), commit(3), starts=[start_s])) == is_late


def test_a_start_without_a_commit_is_found():
    assert found(proposal(2), starts=[3]) == {FindingKind.OVERDUE}


def test_a_start_before_the_commit_is_found():
    assert found(proposal(2), commit(4), starts=[3]) == {FindingKind.OVERDUE}


@pytest.mark.parametrize(
    ("stop", "kinds"),
    [
        (Span(3 * S, 3 * S), {FindingKind.AFTER_STOP}),
        (Span(1 * S, 1 * S), set()),
        (Span(5 * S, 6 * S), set()),
    ],
)
def test_what_was_proposed_before_a_stop_never_starts_after_it(stop, kinds):
    assert found(proposal(2), commit(3), starts=[4], stops=[stop]) == kinds


def test_a_therapy_may_be_taken_up_late_and_under_any_lease_but_not_after_a_stop():
    dose = (proposal(3), commit(4))
    assert found(*dose, starts=[5, 90], runs_on=True) == set()
    assert found(*dose, starts=[90], runs_on=True) == {FindingKind.OVERDUE}
    lease = Span(30 * S, 99 * S)
    assert found(*dose, hello(31), starts=[5, 40], leases=[lease], runs_on=True) == set()
    assert found(*dose, starts=[5, 40], stops=[Span(30 * S, 30 * S)], runs_on=True) == {FindingKind.AFTER_STOP}


def test_another_hosts_lease_binds_from_the_next_hello_on():
    lease = Span(1 * S, 9 * S)
    dose = (proposal(3), commit(4))
    assert found(hello(2), *dose, starts=[5], leases=[lease]) == {FindingKind.FOREIGN_LEASE}
    assert found(*dose, starts=[5], leases=[lease]) == set()
    assert found(hello(2), *dose, starts=[10], leases=[lease]) == set()


def test_a_commit_keeps_its_seq():
    assert found(commit(2), commit(3)) == set()
    assert found(commit(2), commit(3, seq=21)) == {FindingKind.COMMIT_TWICE}
    assert found(commit(2), commit(3, id_=8, seq=21)) == set()


def test_a_retry_gets_the_answer_of_the_first_attempt():
    assert found(result(2), result(3)) == set()
    assert found(result(2), result(3, state=CommandState.DONE)) == {FindingKind.TWO_ANSWERS}


@pytest.mark.parametrize("reason", [NakReason.SEQ_REUSED, NakReason.UNAUTHENTICATED])
def test_a_refusal_that_the_cache_does_not_keep_is_no_second_answer(reason):
    assert found(result(2), nak(3, reason)) == set()
    assert found(result(2), nak(3, NakReason.BUSY)) == {FindingKind.TWO_ANSWERS}


def test_a_hello_a_reset_and_a_full_cache_end_what_an_answer_is_held_to():
    again = result(9, state=CommandState.DONE)
    assert found(result(2), hello(3), again) == set()
    assert found(result(2), boot(3), again) == set()
    others = [result(3, seq=100 + number) for number in range(16)]
    assert found(result(2), *others[:15], again) == {FindingKind.TWO_ANSWERS}
    assert found(result(2), *others, again) == set()
