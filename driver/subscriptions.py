"""The streams that this host asked a pump for."""

from __future__ import annotations

import contextlib

from driver.errors import LinkError, TransportError
from driver.link import Link
from protocol import Stream, Subscribe, Subscription

MOST_MS = 2**32 - 1


class Subscriptions:
    """Begins streams, and ends those it began."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._begun: dict[Stream, int] = {}
        self._session, self._boot_id = link.sessions, link.boot_id

    def subscribe(self, stream: Stream, interval_s: float | None) -> float | None:
        """Ask for a stream every `interval_s` seconds of device time; None ends it. Gives the interval really used.

        Raises:
            ValueError: the interval is below 1 ms or above 49 days.
            LinkError, TransportError: the pump cannot be asked; a stream that was to begin may have begun.
        """
        if interval_s is not None and not 0.001 <= interval_s <= MOST_MS / 1000.0:
            raise ValueError(f"a stream comes at most every millisecond and at least every 49 days, not {interval_s} s")
        interval_ms = 0 if interval_s is None else round(interval_s * 1000.0)
        if interval_ms:
            self._begun[stream] = interval_ms
        answer = self._link.request(Subscribe(stream, interval_ms), Subscription)
        if answer.interval_ms == 0:
            self._begun.pop(stream, None)
            return None
        return answer.interval_ms / 1000.0

    def keep(self) -> None:
        """Begin anew what ended with an authenticated session that another has replaced; a reset ends streams for good.

        What the pump does not answer is tried again at the next call.

        Raises:
            PortLost: the port is gone.
        """
        session = self._link.sessions
        if self._session == session:
            return
        if self._boot_id != self._link.boot_id:
            self._begun.clear()
        with contextlib.suppress(LinkError):
            for stream, interval_ms in self._begun.items():
                self._link.request(Subscribe(stream, interval_ms), Subscription)
            self._session, self._boot_id = session, self._link.boot_id

    def end_all(self) -> None:
        """End what was begun here, as far as the pump can be reached."""
        for stream in sorted(self._begun):
            with contextlib.suppress(LinkError, TransportError):
                self.subscribe(stream, None)
