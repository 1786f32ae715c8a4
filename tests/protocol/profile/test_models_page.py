"""docs/models.md is what the model files say."""

import subprocess
import sys
from pathlib import Path

from protocol.models_page import models_page
from protocol.profile import load_model, model_names

PAGE = Path(__file__).parents[3] / "docs" / "models.md"


def test_the_page_that_is_checked_in_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == models_page(), (
        "docs/models.md is stale; run: python -m protocol.models_page > docs/models.md"
    )


def test_every_figure_of_every_model_stands_in_a_row_with_its_source() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in models_page().splitlines()]
    figures = {(row[0], model): row for row in rows if len(row) == 5 for model in row[2].split(", ")}
    for name in model_names():
        for key, figure in load_model(name).figures.items():
            row = figures[f"`{key}`", name]
            assert float(row[1].replace(",", "")) == figure.value
            assert (row[3], row[4]) == (figure.confidence, figure.source)


def test_the_module_prints_the_page() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "protocol.models_page"], check=True, capture_output=True, cwd=PAGE.parents[1]
    )
    assert printed.stdout.decode() == models_page()
