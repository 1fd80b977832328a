"""A command line that finds a migrated database, and a home of its own."""

from pathlib import Path

import pytest


@pytest.fixture
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of the database without rows that commands use now; TAILWATCH_HOME is empty."""
    monkeypatch.setenv("TAILWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", database_url)
    return database_url
