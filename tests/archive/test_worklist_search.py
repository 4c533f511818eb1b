"""Searching the worklist: by id, name and accession number, bounded whatever is typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carina.archive import NewFilm, Study, WorklistQuery, create_study, worklist
from carina.errors import ArchiveError

NAMES = ("TEST^ANNA", "TEST^ANNABEL", "TEST^BEN", "OTHER^ANNA", "OTHER^CARA")


@pytest.fixture
def study(tmp_path: Path, archive_url: str | None) -> Iterator[Study]:
    with create_study(tmp_path / "service", "service", archive=archive_url) as made:
        for home in ("ZZZ One", "ZZZ Two"):
            made.accounts.add_organisation(home)
        for number, name in enumerate(NAMES):
            new = NewFilm(
                f"{number:064x}", f"received/{number}", "upload", patient_id=f"ZZZ00{number}", patient_name=name
            )
            made.desk.receive(new, organisation_id=1, longest_wait=60)
        made.desk.receive(
            NewFilm("f" * 64, "received/f", "upload", patient_id="ZZZ000"), organisation_id=2, longest_wait=60
        )
        yield made


def _found(study: Study, search: str, **more: object) -> list[str | None]:
    page = study.desk.worklist(
        WorklistQuery(order="waiting", search=search, **more),  # type: ignore[arg-type]  # as the query has them
        organisation_id=1,
        referrer_id=None,
    )
    return [film.patient_name for film in page.films]


@pytest.mark.parametrize("few", [1_000, 1])
def test_every_word_must_begin_a_word_of_the_film(study: Study, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    for search, names in {
        "zzz003": ["OTHER^ANNA"],
        "anna": ["TEST^ANNA", "TEST^ANNABEL", "OTHER^ANNA"],
        "anna test": ["TEST^ANNA", "TEST^ANNABEL"],
        "t ann": ["TEST^ANNA", "TEST^ANNABEL"],
        "zzz000 other": [],
        "zzz00 anna other": ["OTHER^ANNA"],
        "nobody": [],
    }.items():
        monkeypatch.setattr(worklist, "_MOST_MATCHES", max(few, len(names)))  # through the rarest word, and by overlap
        assert _found(study, search) == names, search


def test_what_fits_too_many_films_asks_for_more(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worklist, "_MOST_MATCHES", 2)
    with pytest.raises(ArchiveError, match="type more of it"):
        _found(study, "zzz")
    monkeypatch.setattr(worklist, "_MOST_LISTED", 3)
    with pytest.raises(ArchiveError, match="type more of it"):
        _found(study, "zzz test")  # the overlap of long lists is not looked for
    with pytest.raises(ArchiveError, match="at least 2 letters"):
        _found(study, "z")


def test_a_film_that_was_not_read_has_no_decision_to_be_found_by(study: Study) -> None:
    assert _found(study, "anna", decision="viral", state="refused") == []
    assert len(_found(study, "anna", state="received")) == 3
