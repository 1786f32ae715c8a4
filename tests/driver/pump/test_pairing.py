"""Pairing: whatever is lost on the way, this host has the key that the pump has."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driver import DriverError, KeyFile, KeysInMemory, KeyStoreError, PairingError, SchemaCache, pair
from protocol import TEST_KEY, HelloRequest, Nak, NakReason, Paired, PairRequest, encode, key_check

OLD, OLDER = bytes(range(16)), bytes(range(16, 32))


@pytest.fixture
def store():
    return KeysInMemory()


@pytest.fixture
def pair_it(wire, clock, store, tmp_path):
    def pair_pump(**options):
        options.setdefault("store", store)
        return pair(wire, clock=clock, schemas=SchemaCache(tmp_path), **options)

    return pair_pump


def test_a_pump_in_pairing_mode_gets_a_key_of_its_own_that_opens_it(pair_it, device, store, open_pump):
    device.is_pairing = True
    pairing = pair_it()
    assert store.keys("HAND-1") == (device.guard.key,)
    assert pairing.serial_number == "HAND-1"
    assert pairing.key_check == key_check(device.guard.key, "HAND-1").hex()
    with open_pump(key=store) as pump:
        assert pump.is_authenticated


def test_each_pairing_draws_another_key(pair_it, device):
    keys = set()
    for _ in range(3):
        device.is_pairing = True
        pair_it()
        keys.add(device.guard.key)
    assert len(keys) == 3


def test_the_key_is_in_the_store_before_it_is_sent(pair_it, device, store, wire):
    store.replace("HAND-1", [OLD])
    device.guard.key, device.is_pairing = OLD, True
    kept = []
    taken = device._on_PairRequest
    device._on_PairRequest = lambda message: kept.append((message.key, store.keys("HAND-1"))) or taken(message)
    pair_it()
    ((given_key, in_store),) = kept
    assert in_store == (given_key, OLD)
    assert store.keys("HAND-1") == (given_key,)


@pytest.mark.parametrize("old", [None, OLD])
def test_outside_pairing_mode_nothing_changes(pair_it, device, store, old):
    device.guard.key = old
    store.replace("HAND-1", [old] if old else [])
    with pytest.raises(PairingError, match=r"it is not in pairing mode \(press the button\); press its pairing button"):
        pair_it()
    assert device.guard.key == old
    assert store.keys("HAND-1") == ((old,) if old else ())


@pytest.mark.parametrize("old", [None, OLD])
@pytest.mark.parametrize("times", [1, 3])
def test_a_lost_answer_leaves_no_key_unknown(pair_it, device, store, wire, old, times):
    device.guard.key, device.is_pairing = old, True
    store.replace("HAND-1", [old] if old else [])
    wire.fault("lose", Paired, times=times)
    pair_it()
    assert store.keys("HAND-1") == (device.guard.key,)
    assert device.guard.key != old


def test_where_nobody_answers_any_more_both_keys_are_kept_and_either_opens(pair_it, device, store, wire, open_pump):
    device.guard.key, device.is_pairing = OLD, True
    store.replace("HAND-1", [OLD])
    wire.fault("unplug", PairRequest)
    with pytest.raises(
        PairingError, match=r"is not known \(the connection is gone .*; memory keeps it beside the old one"
    ):
        pair_it()
    assert len(store.keys("HAND-1")) == 2
    assert device.guard.key in store.keys("HAND-1")


def test_two_keys_of_an_earlier_pairing_are_first_told_apart(pair_it, device, store):
    device.guard.key = OLD
    store.replace("HAND-1", [OLDER, OLD])
    with pytest.raises(PairingError, match="goes on with the old one: it is not in pairing mode"):
        pair_it()
    assert store.keys("HAND-1") == (OLD,)


def test_a_pump_that_was_paired_elsewhere_can_be_paired_again(pair_it, device, store):
    store.replace("HAND-1", [OLDER, OLD])
    device.guard.key, device.is_pairing = bytes(16), True
    pair_it()
    assert store.keys("HAND-1") == (device.guard.key,)


def test_a_forged_refusal_makes_this_host_forget_no_key_that_the_pump_took(pair_it, device, store, wire, clock):
    device.is_pairing = True
    wire.fault("delay", Paired, delay_s=0.3)
    taken = device._on_PairRequest

    def take(message):
        seq = max(device.session._plain)
        clock.after(0.1, lambda: wire.send_raw(encode(Nak(NakReason.NOT_PAIRING, ""), seq=seq)))
        return taken(message)

    device._on_PairRequest = take
    pair_it()
    assert store.keys("HAND-1") == (device.guard.key,)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), loss=st.sampled_from([0.1, 0.3, 0.6]), keyed=st.booleans())
def test_on_any_bad_line_the_pumps_key_is_in_the_store(pair_it, device, wire, seed, loss, keyed):
    store = KeysInMemory()
    device.guard.key, device.is_pairing = (OLD if keyed else None), True
    store.replace("HAND-1", [OLD] if keyed else [])
    stream = random.Random(seed)
    wire.lottery = iter(lambda: stream.random() < loss, None)
    try:
        pair_it(store=store)
    except DriverError:
        pass
    else:
        assert store.keys("HAND-1") == (device.guard.key,)
    finally:
        wire.lottery = None
    assert device.guard.key is None or device.guard.key in store.keys("HAND-1")


def test_a_store_that_cannot_be_written_stops_the_pairing_before_anything_is_sent(pair_it, device, wire, tmp_path):
    device.is_pairing = True
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyStoreError):
        pair_it(store=KeyFile(tmp_path / "file" / "keys.toml"))
    assert "sent PairRequest" not in wire.log
    assert device.guard.key is None


def test_the_public_test_key_is_given_to_no_pump(pair_it, device, wire):
    device.is_pairing = True
    with pytest.raises(PairingError, match="the public test key, which no pump is given"):
        pair_it(draw=lambda count: TEST_KEY[:count])
    assert "sent PairRequest" not in wire.log


@pytest.mark.parametrize("port", ["socket://10.0.0.7:5410", "rfc2217://bench-2:4000", "SOCKET://bench-2:1"])
def test_a_key_does_not_travel_over_a_network(store, port):
    with pytest.raises(PairingError, match="a key is given over a cable only, and this port is on a network"):
        pair(port, store)


def test_no_key_is_in_what_goes_wrong(pair_it, device, store, wire):
    store.replace("HAND-1", [OLD])
    device.guard.key = OLD
    with pytest.raises(PairingError) as caught:
        pair_it()
    text = "".join(f"{error!r}{error}" for error in (caught.value, caught.value.__cause__, caught.value.__context__))
    assert OLD.hex() not in text
    assert "PairRequest(key=b" not in text


def test_the_pump_is_asked_who_it_is_before_it_is_given_a_key(pair_it, device, wire):
    device.is_pairing = True
    with pytest.raises(DriverError, match="HAND-1 answers here, HAND-2 is expected"):
        pair_it(expect_serial="HAND-2")
    assert wire.log == [f"sent {HelloRequest.__name__}"]
