"""Studies on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from carina.archive import FilmRecord, Study, create_study

pytest.importorskip("sqlalchemy", reason="studies need the extra 'study'")


@pytest.fixture(params=["sqlite", "postgresql"])
def archive_url(request: pytest.FixtureRequest) -> str | None:
    """URL for a new study: None for SQLite in its folder."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def study(tmp_path: Path, archive_url: str | None) -> Iterator[Study]:
    """A new service study."""
    with create_study(tmp_path / "study", "service", archive=archive_url) as made:
        yield made


@pytest.fixture
def make_record() -> Callable[..., FilmRecord]:
    """Factory of films as they go into the database; `make_record("a", sop_instance_uid=...)`."""

    def make(name: str, **values: object) -> FilmRecord:
        digest = name * 64
        fields = {
            "film_id": digest,
            "path": f"films/{digest}.dcm",
            "rows": 4,
            "columns": 3,
            "pixels_sha256": digest,
            "patient_id": "P1",
            "sop_instance_uid": f"2.25.{ord(name)}",
            **values,
        }
        return FilmRecord(**fields)  # type: ignore[arg-type]  # the factory is as loose as its callers

    return make
