"""Which films a visitor sees, and of which the model's output: asked here by every route that shows any of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from fastapi import Request

from carina.archive import DeskFilm, DeskResult
from carina.web.permissions import Permission, RefusedError, Visitor

__all__ = [
    "corrections",
    "find_film",
    "find_film_to_see",
    "is_foreign",
    "masked",
    "note_seen",
    "output_is_open",
    "result_of",
]

_NOT_THEIRS = "There is no such film, or it is not yours to see."


def find_film(request: Request, visitor: Visitor, entry_id: str) -> DeskFilm:
    """Find a film of the visitor's; another's and none at all look the same.

    Raises
    ------
    RefusedError
    """
    found = request.app.state.study.desk.film(entry_id[:32], **visitor.scope)
    return _or_refused(request, visitor, found)


def find_film_to_see(request: Request, visitor: Visitor, entry_id: str) -> DeskFilm:
    """Find a film of the visitor's, or one of another organisation that they opened by break-glass.

    For looking alone: whatever is done with a film asks `find_film`.

    Raises
    ------
    RefusedError
    """
    study = request.app.state.study
    found = study.desk.film(entry_id[:32], **visitor.scope)
    if found is None and visitor.may(Permission.break_glass):
        found = study.glass.film(entry_id[:32], user_id=visitor.user.user_id)
    return _or_refused(request, visitor, found)


def is_foreign(visitor: Visitor, film: DeskFilm) -> bool:
    """Whether a film is another organisation's, and open by break-glass alone."""
    return film.organisation_id != visitor.user.organisation_id


def note_seen(request: Request, visitor: Visitor, film: DeskFilm, event: str) -> None:
    """Note that a film, or something of it, was shown; to whose patient, so that both organisations read of it."""
    request.app.state.study.desk.note_access(
        f"glass_{event}" if is_foreign(visitor, film) else event,
        organisation_id=film.organisation_id,
        user_id=visitor.user.user_id,
        entry_id=film.entry_id,
    )


def _or_refused(request: Request, visitor: Visitor, found: DeskFilm | None) -> DeskFilm:
    if found is None:
        user = visitor.user
        request.app.state.study.desk.note_access(
            "film_refused", organisation_id=user.organisation_id, user_id=user.user_id
        )
        raise RefusedError(404, _NOT_THEIRS)
    return found


def output_is_open(request: Request, visitor: Visitor, film: DeskFilm) -> bool:
    """Whether the visitor may see what the model says of a film that they see; see `carina.archive.BlindReading`."""
    return film.entry_id in request.app.state.study.blind.open_to([film], **_reader(visitor, [film]))


def masked(request: Request, visitor: Visitor, films: Sequence[DeskFilm]) -> tuple[DeskFilm, ...]:
    """Films for a list: without decision, urgency and due time where these are not open to the visitor."""
    return cast("tuple[DeskFilm, ...]", request.app.state.study.blind.masked(films, **_reader(visitor, films)))


def result_of(request: Request, visitor: Visitor, film: DeskFilm) -> DeskResult | None:
    """Newest result of a film; None before there is one, and where it is not open to the visitor."""
    if not output_is_open(request, visitor, film):
        return None
    found = request.app.state.study.desk.result(film.entry_id, organisation_id=film.organisation_id)
    return cast("DeskResult | None", found)


def corrections(result: DeskResult | None) -> tuple[str, ...]:
    """Name what the quality gate put right before the film was read; layers lie on the film as put right."""
    quality: dict[str, Any] = {} if result is None else result.reading.get("quality") or {}
    return tuple(map(str, quality.get("corrected", ())))


def _reader(visitor: Visitor, films: Sequence[DeskFilm]) -> dict[str, Any]:
    """Tell who looks; of films opened by break-glass nobody judges, so that they open once a doctor has reported."""
    own = not films or not all(is_foreign(visitor, film) for film in films)
    return {"user_id": visitor.user.user_id, "judges": own and visitor.may(Permission.judge_films)}
