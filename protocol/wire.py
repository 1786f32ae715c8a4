"""The sizes of a frame, for all who read or write one.

00 COBS( version/flags u8 | type u8 | seq u16 | length u16 | payload | [counter u32 | tag 8] | CRC-32C u32 ) 00
"""

from __future__ import annotations

import struct

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0
MAX_PAYLOAD_BYTES = 512
TRAILER_BYTES = 12

HEADER = struct.Struct("<BBHH")
PLAIN_VERSION = PROTOCOL_MAJOR << 4  # our version, no flags
FLAG_TRAILER = 0x01
CRC_BYTES = 4
MIN_BYTES = HEADER.size + CRC_BYTES
MAX_BYTES = MIN_BYTES + MAX_PAYLOAD_BYTES + TRAILER_BYTES
MAX_RUN_BYTES = MAX_BYTES + -(-MAX_BYTES // 254)
INTACT_CRC = 0x48674BC7  # the CRC-32C of any bytes and their own CRC-32C behind them
