"""Model files for the tests of profiles."""

from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[3] / "hw_configs" / "models"


@pytest.fixture
def model_file(tmp_path: Path):
    """Writes a shipped model with pieces of its text replaced, and gives the path."""

    def write(*changes: tuple[str, str], model: str = "implantable-20ml") -> Path:
        text = (SHIPPED / f"{model}.toml").read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "changed.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
