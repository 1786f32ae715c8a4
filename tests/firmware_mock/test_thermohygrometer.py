"""The PTU300 dialect as (sent, received) pairs, after the maker's user's guide M210796EN."""

import pytest

from firmware_mock.instruments.thermohygrometer import FACTORY_FORMAT, Thermohygrometer, format_output, is_format
from firmware_mock.physics.environment import RoomAir
from firmware_mock.ports import Port
from firmware_mock.scenario import Scenario
from firmware_mock.world import World


@pytest.fixture
def instrument(exact_rig_facts):
    """Builds the instrument in a room; `ask` sends a line and gives what came back."""

    def build(air=None, *, rig=exact_rig_facts, seed=0):
        world = World(seed=seed, scenario=Scenario("test", {"air": air or {}}))
        port = Port(world, "environment")
        Thermohygrometer(world, port, rig, RoomAir(world))

        def ask(line, end=b"\r"):
            port.host.write(line.encode() + end)
            world.sleep(0.2)
            return port.host.read(0.0).decode()

        ask.world = world
        return ask

    return build


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ("SEND", "P= 1013.25 hPa T= 20.00 'C RH= 50.0 %RH \r\n"),
        ("send", "P= 1013.25 hPa T= 20.00 'C RH= 50.0 %RH \r\n"),
        ("FORM", '5.2 "P=" P " " U4 3.2 "T=" T " " U3 3.1 "RH=" RH " " U4 \\r \\n\r\n'),
        ("SNUM", "Serial number  : E0000001\r\n"),
        ("VERS", "PTU300 / 2.02\r\n"),
        ("NONSENSE", "Unknown command\r\n"),
        ("FORM nonsense", "Unknown command\r\n"),
        ("SEND 3", "Unknown command\r\n"),
    ],
)
def test_a_command_is_answered_as_the_guide_says(instrument, sent, received):
    assert instrument()(sent) == received


def test_the_factory_format_prints_what_the_guide_prints():
    values = {"P": 1013.2, "T": 31.1, "RH": 38.3}
    assert format_output(FACTORY_FORMAT, values) == "P=  1013.2 hPa   T= 31.1 'C RH= 38.3 %RH \r\n"


def test_another_example_of_the_guide_with_hash_signs_and_lower_case(instrument):
    ask = instrument({"humidity_pct": 14.98, "temperature_c": 23.7})
    assert ask('form "RH=" 4.2 rh U5 #t "T=" t U3 #r #n') == "OK\r\n"
    assert ask("send") == "RH=  14.98%RH  \tT=  23.70'C \r\n"
    assert ask("form") == '"RH=" 4.2 rh U5 \\t "T=" t U3 \\r \\n\r\n'
    assert ask("form /") == "OK\r\n"
    assert ask("send") == "P=  1013.2 hPa   T= 23.7 'C RH= 15.0 %RH \r\n"


def test_the_question_mark_tells_model_serial_number_and_format(instrument):
    lines = instrument()("?").splitlines()
    assert lines[0] == "PTU300 / 2.02"
    assert "Serial number  : E0000001" in lines
    assert lines[-1] == "Module 2       : EMPTY"


def test_a_line_feed_after_the_carriage_return_and_an_empty_line_do_no_harm(instrument):
    ask = instrument()
    assert ask("VERS", b"\r\n") == "PTU300 / 2.02\r\n"
    assert ask("") == ""


def test_the_instrument_shows_the_room_with_its_certificate_errors(instrument, rig_facts):
    ask = instrument({"temperature_c": 22.0}, rig=rig_facts, seed=4)
    words = ask("SEND").split()
    ask.world.close()
    facts = ask.world.ledger.open().facts
    assert float(words[1]) == pytest.approx(1013.25 + facts["environment.pressure_error_hpa"], abs=0.006)
    assert float(words[4]) == pytest.approx(22.0 + facts["environment.temperature_error_k"], abs=0.006)
    assert float(words[7]) == pytest.approx(50.0 + facts["environment.humidity_error_pct"], abs=0.06)
    assert facts["environment.temperature_error_k"] != 0.0


def test_noise_of_the_sensors_is_shown(instrument):
    ask = instrument({"thermometer_noise_k": 0.1})
    assert len({ask("SEND") for _ in range(10)}) > 3


@pytest.mark.parametrize(
    ("text", "known"), [("4.2 P U5 \\r \\n", True), ('"x" TDF', False), ("P @", False), ("", False)]
)
def test_only_formats_of_known_items_are_taken(text, known):
    assert is_format(text) is known
