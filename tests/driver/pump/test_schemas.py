"""A pump of another schema: described or known from the cache, used as far as it is laid out alike."""

from __future__ import annotations

import zlib

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driver import (
    Continuous,
    DoseUncertain,
    LinkTimeout,
    SchemaCache,
    StopUnconfirmed,
    VersionMismatch,
)
from driver.storage import replace_file
from protocol import (
    BulkObject,
    DescribeRequest,
    Description,
    Mode,
    Nak,
    NakReason,
    Schema,
    Stop,
    Telemetry,
    own_schema,
    read_schema,
)
from protocol.schema import FieldSchema, MessageSchema

SAMPLE = Telemetry(Mode.STOPPED, 0, 1, 0, 0, 0.0, 37.0, 2800, 0)


def document(schema: Schema) -> bytes:
    return zlib.compress(msgspec.json.encode(schema))


def changed(*names: str, records: bool = False) -> Schema:
    """Our schema with one more field in each of these messages or records."""

    def grown(entry):
        more = (*entry.fields, FieldSchema("surprise", "u8"))
        return msgspec.structs.replace(entry, fields=more) if entry.name in names else entry

    ours = own_schema()
    return Schema(tuple(map(grown, ours.messages)), tuple(map(grown, ours.records)), ours.values)


def renamed(name: str) -> Schema:
    ours = own_schema()
    messages = tuple(
        msgspec.structs.replace(entry, name="Other") if entry.name == name else entry for entry in ours.messages
    )
    return Schema(messages, ours.records, ours.values)


def extended() -> Schema:
    ours = own_schema()
    return Schema((*ours.messages, MessageSchema(0x7E, "Later", ())), ours.records, ours.values)


@pytest.fixture
def speak(device):
    """Gives the pump another schema."""

    def give(schema):
        device.schema = document(schema)
        device.hello = {"schema_hash": schema.hash, "firmware_version": "0.9"}

    return give


def asked(device):
    return [request.offset for request in device.requests if isinstance(request, DescribeRequest)]


def test_a_pump_of_our_schema_is_asked_nothing(open_pump, device, tmp_path):
    with open_pump() as pump:
        pump.bolus(1.0)
    assert asked(device) == []
    assert list(tmp_path.iterdir()) == []


def test_a_message_more_changes_nothing_but_that_the_schema_is_read_in_pieces(open_pump, device, speak):
    speak(extended())
    with open_pump() as pump:
        assert pump.bolus(1.0).id == 1
        pump.start(Continuous(20.0))
    assert asked(device) == list(range(0, len(device.schema), 500))
    assert len(asked(device)) > 1


def test_the_schema_is_kept_by_its_hash_and_not_asked_for_again(open_pump, device, speak, tmp_path):
    speak(extended())
    for _ in range(3):
        device.requests.clear()
        with open_pump() as pump:
            pump.status()
    assert asked(device) == []
    (kept,) = tmp_path.iterdir()
    assert kept == SchemaCache(tmp_path).path(extended().hash)
    assert read_schema(kept.read_bytes(), extended().hash) == extended()


@pytest.mark.parametrize("damage", [b"", b"noise", document(changed("Status"))])
def test_a_damaged_file_is_asked_for_again_and_replaced(open_pump, device, speak, tmp_path, damage):
    speak(extended())
    path = SchemaCache(tmp_path).path(extended().hash)
    path.write_bytes(damage)
    with open_pump():
        pass
    assert len(asked(device)) > 1
    assert read_schema(path.read_bytes(), extended().hash) == extended()


def test_a_cache_that_cannot_be_written_costs_only_the_asking(open_pump, speak, tmp_path):
    speak(extended())
    (tmp_path / "file").write_text("in the way")
    with open_pump(schemas=SchemaCache(tmp_path / "file")) as pump:
        assert pump.bolus(1.0).id == 1


def test_a_message_laid_out_otherwise_is_refused_by_name_and_the_others_work(open_pump, device, speak):
    speak(changed("Calibration"))
    with open_pump() as pump:
        before = len(device.requests)
        with pytest.raises(VersionMismatch, match=r"^hand:pump: firmware 0\.9 lays CalibrationRequest or a reply"):
            pump.calibration()
        assert len(device.requests) == before
        assert pump.bolus(1.0).id == 1


@pytest.mark.parametrize("schema", [changed("ProposeFlex"), renamed("ProposeTrial"), changed("CommandResult", "Stop")])
def test_where_any_therapy_message_differs_the_pump_is_read_and_not_dosed(open_pump, device, wire, speak, schema):
    speak(schema)
    with open_pump() as pump:
        assert pump.status().battery_mv == 2800
        for order in (
            lambda: pump.bolus(1.0),
            lambda: pump.start(Continuous(1.0)),
            lambda: pump.refill(1.0),
            lambda: pump.write_calibration(10.0),
            pump.patient_bolus,
            pump.therapy,
        ):
            with pytest.raises(VersionMismatch, match=r"lays therapy messages out differently \([\w, ]+\), so this"):
                order()
    assert not [entry for entry in wire.log if "Propose" in entry or "Therapy" in entry]


def test_stop_works_where_therapy_differs_and_stop_does_not(open_pump, device, disk, speak):
    running = open_pump()
    running.start(Continuous(20.0))
    disk.kill()
    speak(changed("ProposeFlex"))
    with open_pump() as pump:
        assert pump.uncertain_doses == (1,)
        assert pump.stop().steps == 4711
        with pytest.raises(DoseUncertain, match=r"firmware 0\.9 lays CommandResultRequest or a reply to it out"):
            pump.dose(1)
    assert device.mode == Mode.STOPPED


def test_a_stop_laid_out_otherwise_is_never_taken_for_confirmed(open_pump, device, speak):
    speak(changed("Stopped"))
    with open_pump() as pump:
        with pytest.raises(StopUnconfirmed, match=r"firmware 0\.9 lays Stop or a reply to it out differently"):
            pump.stop()
        assert Stop not in {type(request) for request in device.requests}


@pytest.mark.parametrize("name", ["Stop", "Stopped"])
def test_what_could_not_be_stopped_is_not_started(open_pump, wire, speak, name):
    speak(changed(name))
    with open_pump() as pump, pytest.raises(VersionMismatch, match=rf"therapy messages out differently \({name}\)"):
        pump.start(Continuous(20.0))
    assert not [entry for entry in wire.log if "Propose" in entry]


def test_a_step_volume_that_could_not_be_read_back_is_not_written(open_pump, device, speak):
    speak(changed("Calibration"))
    with open_pump() as pump, pytest.raises(VersionMismatch, match="lays CalibrationRequest or a reply to it out"):
        pump.write_calibration(10.5)
    assert (device.commits, device.step_volume_nl) == ([], 10.0)


def test_a_description_that_does_not_come_is_told_with_one_thing_to_do(open_pump, wire, speak):
    speak(extended())
    wire.fault("lose", Description, times=99)
    with pytest.raises(VersionMismatch, match="because the pump did not answer DescribeRequest; use the program that"):
        open_pump()


def test_without_a_nak_that_is_alike_nothing_is_asked(open_pump, speak):
    speak(changed("Nak"))
    with open_pump() as pump:
        with pytest.raises(VersionMismatch, match="lays StatusRequest"):
            pump.status()
        with pytest.raises(VersionMismatch, match=r"therapy messages out differently \(Nak\)"):
            pump.bolus(1.0)


def test_samples_laid_out_otherwise_are_dropped_and_counted(open_pump, wire, clock, speak):
    speak(changed("Telemetry"))
    with open_pump() as pump:
        for _ in range(3):
            wire.send_unasked(SAMPLE)
        clock.sleep(0.1)
        assert pump.telemetry().samples == ()
        assert pump._link.session.unusable_frames == 3


def test_records_laid_out_otherwise_are_refused_by_name(open_pump, speak):
    speak(changed("EventRecord", records=True))
    with open_pump() as pump:
        with pytest.raises(VersionMismatch, match=f"lays the records of {BulkObject.EVENT_LOG.name} out differently"):
            pump.event_log()
        assert pump.dose_history().records == ()


@pytest.mark.parametrize("kind", ["lose", "corrupt", "duplicate", "delay"])
def test_bad_frames_cost_retries_and_no_piece(open_pump, device, wire, speak, kind):
    speak(extended())
    wire.fault(kind, DescribeRequest, delay_s=0.7 if kind == "delay" else 0.0)
    wire.fault(kind, Description, times=4, delay_s=0.7 if kind == "delay" else 0.0)
    with open_pump() as pump:
        assert pump.bolus(1.0).id == 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda _: Description(1000, 0, b""), "0 bytes of the schema came from byte 0 on, 0 of 1000 are there"),
        (lambda m: Description(1000, m.offset + 1, b"x"), "1 bytes of the schema came from byte 1 on"),
        (lambda m: Description(1000 + m.offset, m.offset, b"x"), "the schema has 1000 bytes, then 1001"),
        (lambda _: Description(0, 0, b""), "the schema has 0 bytes"),
        (lambda _: Description(2**31, 0, b"x"), "at most 262144 are read"),
        (lambda _: Description(2, 0, b"xx"), "the schema is not zlib data"),
        (lambda _: Nak(NakReason.UNKNOWN_TYPE, ""), "the pump did not answer DescribeRequest"),
    ],
)
def test_a_pump_that_does_not_describe_itself_is_not_opened(open_pump, device, speak, tmp_path, answer, sentence):
    speak(extended())
    device._on_DescribeRequest = answer
    with pytest.raises(VersionMismatch, match=rf"its description cannot be had, because .*{sentence}.*firmware 0\.9$"):
        open_pump()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("carrier", ["bytes"], indirect=True)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.sets(st.sampled_from([entry.name for entry in own_schema().messages]), max_size=6))
def test_whatever_messages_differ_nothing_is_sent_that_the_pump_would_not_understand(open_pump, device, speak, names):
    speak(changed(*names))
    frozen = {"HelloRequest", "DescribeRequest", "Hello", "Description"}
    device.requests.clear()
    refused = 0
    with open_pump() as pump:
        for action in (pump.status, pump.alarms, pump.stop, lambda: pump.bolus(1.0), lambda: pump.subscribe(1.0)):
            try:
                action()
            except (VersionMismatch, StopUnconfirmed):
                refused += 1
    assert refused == 0 or names
    sent = {type(request).__name__ for request in device.requests}
    assert not sent & (names - frozen)
    if "Status" in names:
        assert "StatusRequest" not in sent


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file"
    replace_file(path, b"first")
    replace_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert [each.name for each in path.parent.iterdir()] == ["file"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):  # noqa: PT011
        replace_file(tmp_path / "folder", b"no")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["deep", "folder"]


def test_the_default_cache_is_this_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert SchemaCache.in_default_directory().path(bytes(8)) == tmp_path / "thecabench" / "schemas" / (
        "0" * 16 + ".json.zlib"
    )


def test_a_lost_port_while_describing_is_a_lost_port(open_pump, wire, speak):
    speak(extended())
    wire.fault("lose", Description, times=99)
    with pytest.raises(VersionMismatch) as caught:
        open_pump()
    assert isinstance(caught.value.__cause__, LinkTimeout)
