"""Refusals: what the pump says when it will not do something fits its field."""

import protocol
from firmware_mock.firmware.refusals import RefusedRequest


def test_a_refusal_is_cut_to_the_bytes_of_its_field_and_never_within_a_letter():
    detail = RefusedRequest(protocol.NakReason.BUSY, "a" + "µ" * 40).detail
    assert detail == "a" + "µ" * 23
    assert protocol.encode(protocol.Nak(protocol.NakReason.BUSY, detail))
