"""The frame's own figures, as the exports state them; tests hold them against what the encoder writes."""

from __future__ import annotations

from protocol.framing import MAX_PAYLOAD_BYTES, TRAILER_BYTES

HEADER_FIELDS = (("version_flags", "u8"), ("type", "u8"), ("seq", "u16"), ("length", "u16"))
TRAILER_FIELDS = (("counter", "u32"), ("tag", "bytes8"))
BULK_CRC_FIELD = ("crc", "u32")

DELIMITER = 0x00
FLAG_TRAILER = 0x01
HEADER_BYTES = 6
CRC_BYTES = 4
MIN_FRAME_BYTES = HEADER_BYTES + CRC_BYTES
MAX_FRAME_BYTES = MIN_FRAME_BYTES + MAX_PAYLOAD_BYTES + TRAILER_BYTES
COBS_BLOCK_BYTES = 254
MAX_ENCODED_BYTES = MAX_FRAME_BYTES + -(-MAX_FRAME_BYTES // COBS_BLOCK_BYTES)
MAX_WIRE_BYTES = MAX_ENCODED_BYTES + 2

CRC_NAME = "CRC-32C (Castagnoli)"
CRC_POLYNOMIAL = 0x1EDC6F41
CRC_POLYNOMIAL_REFLECTED = 0x82F63B78
CRC_INITIAL = 0xFFFFFFFF
CRC_FINAL_XOR = 0xFFFFFFFF
CRC_CHECK_TEXT = "123456789"
CRC_CHECK = 0xE3069283
