"""Why a request is refused, as an exception that becomes a NAK."""

from __future__ import annotations

from protocol import NakReason
from protocol.messages import NAK_DETAIL_BYTES


class RefusedRequest(Exception):
    """The request changes nothing; becomes a NAK. Of `detail` is kept what the NAK's field can hold in UTF-8."""

    def __init__(self, reason: NakReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail.encode()[:NAK_DETAIL_BYTES].decode(errors="ignore")
