"""The operator at a terminal, and behind a port."""

from __future__ import annotations

from io import StringIO

import pytest

from driver import OperatorError, PortLost
from driver.instruments import Answer, ConsoleOperator, RemoteOperator


def console(typed):
    output = StringIO()
    return ConsoleOperator("R. Vogel", input=StringIO(typed), output=output), output


@pytest.mark.parametrize(
    ("typed", "yes"), [("yes\n", True), ("Y\n", True), ("no\n", False), (" N\n", False), ("", False)]
)
def test_a_person_answers_yes_or_no_and_the_end_of_input_is_no(typed, yes):
    operator, output = console(typed)
    assert operator.confirm("door", "Is the door closed?") == Answer("door", "Is the door closed?", yes, "R. Vogel")
    assert output.getvalue() == "Is the door closed? (yes/no) "


def test_what_is_neither_yes_nor_no_is_asked_again():
    operator, output = console("perhaps\n\nyes\n")
    assert operator.confirm("door", "Is the door closed?").yes
    assert output.getvalue().count("Is the door closed?") == 3


def test_a_stopcock_is_turned_by_the_person_or_the_run_ends():
    operator, output = console("yes\nno\n")
    operator.set_stopcock(open=False)
    assert "Please close the stopcock. Is it closed?" in output.getvalue()
    with pytest.raises(OperatorError, match=r"R\. Vogel did not open the stopcock"):
        operator.set_stopcock(open=True)


def test_a_check_weight_is_put_on_and_taken_off_by_the_person_or_the_run_ends():
    operator, output = console("yes\nno\n")
    operator.set_check_weight(on_pan=True)
    assert "Please put the check weight on the pan and close the draught shield." in output.getvalue()
    with pytest.raises(OperatorError, match=r"R\. Vogel did not take the check weight off the pan"):
        operator.set_check_weight(on_pan=False)


@pytest.fixture
def remote(dialogue, clock):
    return lambda *pairs: RemoteOperator(dialogue(*pairs), clock)


def test_a_remote_operator_answers_with_a_name(remote):
    operator = remote(
        (
            "ASK approve#1 Write 10.02 nL instead of 10 nL, ±0.3 %?\n".encode(),
            b"ANSWER approve#1 yes Simulated Operator\n",
        ),
        (b"ASK approve#2 Again?\n", b"ANSWER approve#2 no Simulated Operator\n"),
    )
    answer = operator.confirm("approve", "Write 10.02 nL instead\nof 10 nL, ±0.3 %?")
    assert (answer.yes, answer.by, answer.text) == (
        True,
        "Simulated Operator",
        "Write 10.02 nL instead\nof 10 nL, ±0.3 %?",
    )
    assert not operator.confirm("approve", "Again?").yes


def test_a_hand_may_take_its_minute(remote, clock):
    operator = remote(
        (b"DO stopcock#1 open-stopcock\n", [(60.0, b"DONE stopcock#1 Simulated Operator\n")]),
        (b"DO stopcock#2 close-stopcock\n", [(20.0, b"DONE stopcock#2 Simulated Operator\n")]),
    )
    operator.set_stopcock(open=True)
    operator.set_stopcock(open=False)
    assert clock.monotonic() == pytest.approx(80.0)


def test_a_hand_puts_the_check_weight_on_and_takes_it_off(remote):
    operator = remote(
        (b"DO check-weight#1 put-check-weight\n", [(9.0, b"DONE check-weight#1 Simulated Operator\n")]),
        (b"DO check-weight#2 take-check-weight\n", b"ERROR check-weight#2 dropped it\n"),
    )
    operator.set_check_weight(on_pan=True)
    with pytest.raises(OperatorError, match="dropped it"):
        operator.set_check_weight(on_pan=False)


def test_what_the_hand_could_not_do_is_an_error_with_its_reason(remote):
    operator = remote((b"DO stopcock#1 open-stopcock\n", b"ERROR stopcock#1 the handle is stuck\n"))
    with pytest.raises(OperatorError, match="'open-stopcock' was not done: the handle is stuck"):
        operator.set_stopcock(open=True)


def test_nobody_there_is_an_error_after_the_stated_patience(dialogue, clock):
    operator = RemoteOperator(dialogue((b"ASK door#1 Closed?\n", b"")), clock, patience_s=120.0)
    with pytest.raises(OperatorError, match=r"nobody answered 'Closed\?' within 120 s"):
        operator.confirm("door", "Closed?")
    assert clock.monotonic() == pytest.approx(120.0, abs=1.0)


def test_a_late_answer_to_an_earlier_question_is_passed_over(dialogue, clock):
    operator = RemoteOperator(
        dialogue(
            (b"ASK door#1 Closed?\n", [(130.0, b"ANSWER door#1 yes Late\n")]),
            (b"ASK door#2 Closed?\n", [(60.0, b"ANSWER door#2 no Prompt\n")]),
        ),
        clock,
        patience_s=120.0,
    )
    with pytest.raises(OperatorError):
        operator.confirm("door", "Closed?")
    answer = operator.confirm("door", "Closed?")
    assert (answer.yes, answer.by) == (False, "Prompt")


@pytest.mark.parametrize("reply", [b"ANSWER door#1 perhaps Me\n", b"ANSWER door#1 yes\n", b"DONE door#1 Me\n"])
def test_an_answer_that_is_neither_yes_nor_no_by_a_name_is_no_answer(remote, reply):
    with pytest.raises(OperatorError):
        remote((b"ASK door#1 Closed?\n", reply)).confirm("door", "Closed?")


def test_a_key_with_blanks_is_refused_before_anything_is_sent(remote):
    with pytest.raises(ValueError, match="a key of letters, digits"):
        remote().confirm("the door", "Closed?")


def test_a_lost_port_is_told_from_a_silent_person(dialogue, clock):
    transport = dialogue((b"ASK door#1 Closed?\n", b""))
    clock.after(5.0, lambda: setattr(transport, "unplugged", True))
    with pytest.raises(PortLost):
        RemoteOperator(transport, clock).confirm("door", "Closed?")
