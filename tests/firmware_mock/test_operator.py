"""The simulated operator's line protocol, as docs/operator-link.md has it."""

import pytest

from firmware_mock.instruments.operator import Hand
from firmware_mock.ports import Port
from firmware_mock.scenario import Scenario, ScenarioError
from firmware_mock.world import World


@pytest.fixture
def operator(rig_facts):
    """Builds the operator; `.say` sends text and gives what came back, `.turns` is what the hand did."""

    class Desk:
        def __init__(self, table, approves):
            rig = rig_facts | {"operator": rig_facts["operator"] | {"approves": approves}}
            self.world = World(scenario=Scenario("test", {"operator": table}))
            self.port = Port(self.world, "operator")
            self.turns = []
            self.weights = []
            Hand(self.world, self.port, rig, self.turn, self.weights.append)

        def turn(self, is_open):
            self.turns.append((self.world.monotonic(), is_open))

        def say(self, text, *, for_s=6.0):
            self.port.host.write(text if isinstance(text, bytes) else text.encode())
            self.world.sleep(for_s)
            return self.port.host.read(0.0).decode()

    return lambda table=None, approves=True: Desk(table or {}, approves)


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ("ASK 1 Is the pan clean?", "ANSWER 1 yes Simulated Operator"),
        ("DO a-7 open-stopcock", "DONE a-7 Simulated Operator"),
        ("DO 2 close-stopcock", "DONE 2 Simulated Operator"),
        (
            "DO 3 dance",
            "ERROR 3 unknown action dance; known: open-stopcock, close-stopcock, put-check-weight, take-check-weight",
        ),
        ("ASK 4", "ERROR 4 ASK needs an id and a text"),
        ("TELL 5 all", "ERROR 5 unknown word TELL; known: ASK, DO"),
        ("", "ERROR - a line is ASK or DO, an id, and a text"),
        ("ASK", "ERROR - a line is ASK or DO, an id, and a text"),
    ],
)
def test_a_line_is_answered_with_its_id_and_the_name(operator, sent, received):
    assert operator().say(sent + "\n") == received + "\n"


def test_an_operator_who_does_not_approve_says_no(operator):
    desk = operator(approves=False)
    assert desk.say("ASK approve-factor#1 Schön so?\n") == "ANSWER approve-factor#1 no Simulated Operator\n"
    assert desk.say("ASK 2 Is the pan clean?\n") == "ANSWER 2 yes Simulated Operator\n"


def test_what_the_operator_sees_wrong_is_answered_with_no(operator):
    desk = operator({"sees_wrong": "vessel"})
    assert desk.say("ASK vessel#1 Covered?\n") == "ANSWER vessel#1 no Simulated Operator\n"
    assert desk.say("ASK draught#2 Closed?\n") == "ANSWER draught#2 yes Simulated Operator\n"


def test_the_hand_takes_its_time_and_answers_when_it_is_done(operator):
    desk = operator({"delay_s": 5.0})
    assert desk.say("DO 1 close-stopcock\n", for_s=4.9) == ""
    assert desk.turns == []
    assert desk.say("", for_s=0.2) == "DONE 1 Simulated Operator\n"
    assert desk.turns == [(pytest.approx(5.0, abs=0.01), False)]


def test_things_are_done_one_after_another(operator):
    desk = operator({"delay_s": 5.0})
    desk.say("DO 1 open-stopcock\nDO 2 close-stopcock\n", for_s=20.0)
    assert [is_open for _, is_open in desk.turns] == [True, False]
    assert desk.turns[1][0] - desk.turns[0][0] == pytest.approx(5.0)


def test_the_delay_spreads_as_the_scenario_says(operator):
    desk = operator({"delay_s": 5.0, "delay_spread": 0.5})
    for count in range(40):
        desk.say(f"DO {count} open-stopcock\n", for_s=10.0)
    delays = [turn - 10.0 * count for count, (turn, _) in enumerate(desk.turns)]
    assert 2.5 <= min(delays) < 3.2
    assert 6.8 < max(delays) <= 7.51


def test_a_letter_split_between_two_chunks_is_put_together_and_bad_bytes_are_refused(operator):
    desk = operator()
    line = "ASK 1 Gefäß da?\n".encode()
    desk.say(line[:10], for_s=0.1)
    assert desk.say(line[10:]) == "ANSWER 1 yes Simulated Operator\n"
    assert desk.say(b"ASK 2 \xff\n") == "ERROR - the line is not UTF-8\n"


def test_an_endless_line_is_dropped(operator):
    assert operator().say("x" * 5000) == "ERROR - a line is longer than 4096 bytes\n"


def test_an_impossible_delay_is_refused(operator):
    with pytest.raises(ScenarioError, match="delay_s"):
        operator({"delay_s": -1.0})


def test_the_check_weight_is_put_on_and_taken_off(operator):
    desk = operator()
    assert desk.say("DO 1 put-check-weight\n") == "DONE 1 Simulated Operator\n"
    assert desk.say("DO 2 take-check-weight\n") == "DONE 2 Simulated Operator\n"
    assert desk.weights == [True, False]
