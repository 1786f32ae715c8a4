"""The protocol for other languages and for people: all of it written from the layouts that make the codecs."""

from __future__ import annotations

from collections.abc import Callable

from protocol.export.c_header import c_header
from protocol.export.kaitai import kaitai
from protocol.export.markdown import markdown
from protocol.export.vectors import vectors
from protocol.export.wireshark import wireshark

FORMATS: dict[str, Callable[[], str]] = {
    "markdown": markdown,
    "c-header": c_header,
    "wireshark": wireshark,
    "kaitai": kaitai,
    "vectors": vectors,
}

__all__ = ["FORMATS", "c_header", "kaitai", "markdown", "vectors", "wireshark"]
