"""MT-SICS as (sent, received) pairs, after the maker's reference manual for XPR and XSR balances."""

import pytest

# The gross weight of the exact station is 22 g of glass and 15 mL of water at 20 °C, less 24 mL of air, plus 0.35 mg
# for the needle, times 1.00015 for weights of 8000 kg/m³ in air: 36.95021 g.
SERIAL = 'I4 A "B000000001"'


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ("@", SERIAL),
        ("I1", 'I1 A "012" "2.30" "2.22" "2.33" "2.20"'),
        ("I2", 'I2 A "XPR-class semi-micro 120.00000 g"'),
        ("I3", 'I3 A "1.00 10.28.0.493.142"'),
        ("I4", SERIAL),
        ("S", "S S   36.95021 g"),
        ("SI", "S S   36.95021 g"),
        ("T", "T S   36.95021 g"),
        ("TI", "TI S   36.95021 g"),
        ("TA", "TA A    0.00000 g"),
        ("TA 0.5 g", "TA A    0.50000 g"),
        ("TA -0.5 g", "TA L"),
        ("TA 0.5 mg", "TA L"),
        ("TA nonsense g", "TA L"),
        ("TAC", "TAC A"),
        ("Z", "Z +"),
        ("ZI", "ZI +"),
        ("M02", "M02 A 2"),
        ("M02 4", "M02 A"),
        ("M02 6", "M02 L"),
        ("M03", "M03 A 0"),
        ("M03 1", "M03 A"),
        ("M03 2", "M03 L"),
        ("C0", 'C0 A 0 0 ""'),
        ("C0 1 0", "C0 A"),
        ("C0 1 1", "C0 L"),
        ("s", "ES"),
        ("SX", "ES"),
        ("", "ES"),
        ("SI 5", "EL"),
        ("Sé", "ET"),
    ],
)
def test_a_command_is_answered_as_the_manual_says(weighing, sent, received):
    assert weighing().ask(sent) == f"{received}\r\n"


def test_the_list_of_commands_names_each_with_its_level_and_marks_the_last(weighing):
    lines = weighing().ask("I0").splitlines()
    assert lines[:2] == ['I0 B 0 "@"', 'I0 B 0 "I0"']
    assert lines[-1] == 'I0 A 2 "M03"'
    assert {line.split()[3].strip('"') for line in lines} == {
        *("@", "C0", "I0", "I1", "I2", "I3", "I4", "M02", "M03"),
        *("S", "SI", "SIR", "T", "TA", "TAC", "TI", "Z", "ZI"),
    }


def test_settings_are_read_back_as_they_were_set_and_survive_a_cancel(weighing):
    station = weighing()
    for command in ("M02 4", "M03 1", "C0 1 0", "@"):
        station.ask(command)
    assert [station.ask(command) for command in ("M02", "M03", "C0")] == [
        "M02 A 4\r\n",
        "M03 A 1\r\n",
        'C0 A 1 0 ""\r\n',
    ]


def test_after_a_tare_the_display_is_naught_and_a_cancel_forgets_the_tare(weighing):
    station = weighing()
    station.ask("T")
    assert station.ask("S") == "S S    0.00000 g\r\n"
    assert station.ask("TA") == "TA A   36.95021 g\r\n"
    station.ask("@")
    assert station.ask("S") == "S S   36.95021 g\r\n"


def test_a_light_load_is_zeroed(weighing, exact_rig_facts):
    rig = exact_rig_facts | {"vessel": exact_rig_facts["vessel"] | {"glass_mass_g": 1.0, "contents_ml": 1.0}}
    station = weighing(rig=rig)
    assert station.ask("Z") == "Z A\r\n"
    assert station.ask("ZI") == "ZI S\r\n"
    assert station.ask("SI") == "S S    0.00000 g\r\n"


def test_a_negative_weight_keeps_the_field_of_ten_characters(weighing):
    station = weighing()
    station.ask("TA 100 g")
    assert station.ask("SI") == "S S  -63.04979 g\r\n"


def test_a_line_may_arrive_in_pieces_and_two_lines_at_once(weighing):
    station = weighing()
    for piece in (b"I", b"4\r", b"\nM0", b"3\r\nSI\r\n"):
        station.port.host.write(piece)
        station.world.sleep(0.01)
    assert station.port.host.read(0.0).decode() == f"{SERIAL}\r\nM03 A 0\r\nS S   36.95021 g\r\n"


def test_a_line_without_end_is_a_transmission_error_once(weighing):
    station = weighing()
    station.port.host.write(b"S" * 300)
    station.world.sleep(1.0)
    assert station.port.host.read(0.0) == b"ET\r\n"


def flowing(weighing, **balance):
    station = weighing({"balance": {"filter_s": 1.0} | balance}, inflow_mg_per_s=0.278)
    for _ in range(20):
        station.ask("SI")
    return station


def test_an_immediate_weight_of_a_flowing_load_is_dynamic(weighing):
    station = flowing(weighing)
    assert station.ask("SI").startswith("S D   36.95")
    assert station.ask("TI").startswith("TI D   36.95")
    assert station.ask("ZI") == "ZI +\r\n"


@pytest.mark.parametrize("command", ["S", "T", "Z"])
def test_a_command_that_waits_for_stability_gives_up_after_its_time(weighing, command):
    station = flowing(weighing, stability_timeout_s=5.0)
    assert station.ask(command, for_s=4.9) == ""
    assert station.ask("M03", for_s=0.05) == "M03 I\r\n"
    assert station.ask("SI", for_s=0.04) == "S I\r\n"
    station.world.sleep(0.2)
    assert station.port.host.read(0.0).decode() == f"{command} I\r\n"


def test_a_stable_weight_is_waited_for(weighing):
    station = weighing({"balance": {"filter_s": 1.0}})
    station.ask("S")
    station.vessel.extra_mass_mg = 1000.0
    assert station.ask("SI").startswith("S D")
    assert station.ask("S", for_s=1.0) == ""
    station.world.sleep(15.0)
    assert station.port.host.read(0.0).decode().startswith("S S   37.9502")


def test_a_cancel_ends_the_waiting(weighing):
    station = flowing(weighing)
    station.ask("S")
    assert station.ask("@") == f"{SERIAL}\r\n"
    assert station.ask("M03", for_s=60.0) == "M03 A 0\r\n"


@pytest.mark.parametrize("command", ["@", "S", "SI"])
def test_repeating_weights_come_with_every_update_until_another_command(weighing, command):
    station = weighing()
    lines = station.ask("SIR", for_s=1.0).splitlines()
    assert lines == ["S S   36.95021 g"] * 10
    assert station.ask("I4", for_s=0.25).splitlines().count(SERIAL) == 1
    station.ask(command)
    station.world.sleep(1.0)
    assert station.port.host.in_waiting == 0


def test_an_overload_an_underload_and_a_balance_at_its_adjustment_have_no_weight(weighing):
    station = weighing({"balance": {"auto_adjustment": True, "adjustment_every_h": 1.0}})
    station.vessel.extra_mass_mg = 100_000.0
    assert [station.ask(command) for command in ("S", "SI", "T", "TI")] == ["S +\r\n", "S +\r\n", "T +\r\n", "TI +\r\n"]
    station.vessel.extra_mass_mg = -60_000.0
    assert [station.ask(command) for command in ("S", "SI", "TI", "ZI")] == [
        "S -\r\n",
        "S -\r\n",
        "TI -\r\n",
        "ZI -\r\n",
    ]
    station.vessel.extra_mass_mg = 0.0
    station.world.sleep(3610.0 - station.world.monotonic())
    assert [station.ask(command) for command in ("S", "SI", "T", "ZI")] == ["S I\r\n", "S I\r\n", "T I\r\n", "ZI I\r\n"]


def test_answers_are_delayed_and_jitter_but_keep_their_order(weighing):
    station = weighing({"balance": {"answer_delay_ms": 20.0, "answer_jitter_ms": 30.0}})
    arrivals = []
    for _ in range(50):
        asked_s = station.world.monotonic()
        station.port.host.write(b"SI\r\n")
        station.port.host.read(1.0)
        arrivals.append(station.world.monotonic() - asked_s)
        station.world.sleep(0.2)
    transmission_s = (4 + 18) * 10 / 115_200
    assert min(arrivals) > 0.020 + transmission_s - 1e-6
    assert max(arrivals) < 0.050 + transmission_s + 1e-6
    assert max(arrivals) - min(arrivals) > 0.02
    assert station.ask("I0").splitlines()[-1].startswith("I0 A")
    station.world.close()
    assert station.world.ledger.open().evidence["balance.answer_jitter"] > 50
