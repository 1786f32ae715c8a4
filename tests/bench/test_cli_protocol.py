"""`thecabench protocol export`: each form of the one definition, to the terminal or to a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import cli
from protocol.export import FORMATS


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_form_is_printed_and_written_alike(form: str, tmp_path: Path) -> None:
    printed = CliRunner().invoke(cli, ["protocol", "export", form], catch_exceptions=False)
    assert printed.exit_code == 0
    file = tmp_path / "export"
    written = CliRunner().invoke(cli, ["protocol", "export", form, "--output", str(file)], catch_exceptions=False)
    assert written.exit_code == 0
    assert file.read_text(encoding="utf-8") == printed.stdout == FORMATS[form]()


def test_the_vectors_are_json() -> None:
    assert json.loads(CliRunner().invoke(cli, ["protocol", "export", "vectors"]).stdout)


def test_a_form_that_does_not_exist_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli, ["protocol", "export", "papyrus"]).exit_code == 2


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    target = tmp_path / "no" / "such" / "folder.h"
    done = CliRunner().invoke(cli, ["protocol", "export", "c-header", "--output", str(target)])
    assert done.exit_code == 3
    assert str(target) in done.stderr
