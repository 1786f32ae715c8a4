"""The files of a simulated life: rows and notes as Parquet with page checksums, and a summary as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bench.simulate.life import NOTICE, Life

ROWS, NOTES, SUMMARY = "rows.parquet", "notes.parquet", "summary.json"


def write_files(life: Life, folder: Path) -> list[Path]:
    """Write all of them into a folder, which is made; the units stand in the columns' names.

    Raises:
        OSError: the folder or a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    notes = {
        "time_s": [note.time_s for note in life.notes],
        "who": [note.who for note in life.notes],
        "text": [note.text for note in life.notes],
    }
    rows, noted, summary = folder / ROWS, folder / NOTES, folder / SUMMARY
    _write_table(rows, life, dict(life.columns))
    _write_table(noted, life, notes)
    summary.write_bytes(msgspec.json.format(msgspec.json.encode(summarised(life)), indent=2) + b"\n")
    return [rows, noted, summary]


def summarised(life: Life) -> dict[str, Any]:
    """The life in a few figures, its notes left out."""
    return {
        "notice": NOTICE,
        "scenario": life.scenario,
        "model": life.model,
        "days": life.days,
        "starts_on": life.starts_on.isoformat(),
        "seed": life.seed,
        "trace_hash": life.trace_hash,
        "as_expected": life.as_expected,
        "expected": [
            {"expected": outcome.expected, "seen": outcome.seen, "found": outcome.found} for outcome in life.outcomes
        ],
        "properties_watched": life.properties_watched,
        "breaks": [
            {"property": it.identifier, "sentence": it.sentence, "why": it.why, "first_s": it.first_s, "how": it.how}
            for it in life.breakages
        ],
        "conservation_error": life.conservation_error,
        "alarms_s": life.alarm_spans(),
        "end": {name: float(values[-1]) for name, values in life.columns.items()},
    }


def _write_table(path: Path, life: Life, columns: dict[str, Any]) -> None:
    import pyarrow
    from pyarrow import parquet

    facts = {"notice": NOTICE, "scenario": life.scenario, "model": life.model, "seed": str(life.seed)}
    facts["starts_on"] = life.starts_on.isoformat()
    table = pyarrow.table(columns).replace_schema_metadata(facts)
    parquet.write_table(table, path, write_page_checksum=True)
