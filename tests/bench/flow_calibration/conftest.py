"""How the tests of the report look at a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest


class VisibleText(HTMLParser):
    """The text that a reader sees, and the cells of every table row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._hidden = 0
        self._in_cell = False
        self._parts: list[str] = []
        self.rows: list[tuple[str, list[str]]] = []
        self.feed(html)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self._parts))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("style", "title")
        if tag == "tr":
            self.rows.append((dict(attrs).get("class") or "", []))
        if tag in ("td", "th"):
            self._in_cell = True
            self.rows[-1][1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "title")
        self._in_cell &= tag not in ("td", "th")
        self._parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._parts.append(data)
            if self._in_cell:
                self.rows[-1][1][-1] += data


@pytest.fixture(scope="session")
def see() -> type[VisibleText]:
    """Reads a page: `see(html).text` and `.rows`."""
    return VisibleText
