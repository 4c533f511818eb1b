"""The film page: the film, what the model said of it, and what doctors say."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from carina.archive import DeskFilm, DeskResult
from carina.errors import ArchiveError, FilmRejectedError
from carina.report.page import words
from carina.service import facts_of, prior_films
from carina.web.badges import badges, programmes_to_ask_for
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor
from carina.web.seeing import (
    corrections,
    find_film,
    find_film_to_see,
    is_foreign,
    masked,
    note_seen,
    output_is_open,
    result_of,
)

__all__ = ["router"]

router = APIRouter()

_See = Annotated[Visitor, Depends(Guard(Permission.see_films))]
_Judge = Annotated[Visitor, Depends(Guard(Permission.judge_films))]
_SIDE: Final = 1200
_LONGEST_SIDE: Final = 4096
_PRIOR: Final = "prior"
_JUDGED: Final = ("read", "reported", "refused", "failed")
_BLIND_FIRST: Final = "Say first what you see yourself; the model's output opens then."


@router.get("/films/{entry_id}")
def film_page(request: Request, visitor: _See, entry_id: str) -> Response:
    """Show a film with what the model and the doctors said of it."""
    film, study = find_film_to_see(request, visitor, entry_id), request.app.state.study
    user, opened, foreign = visitor.user, output_is_open(request, visitor, film), is_foreign(visitor, film)
    note_seen(request, visitor, film, "film_seen")
    result = result_of(request, visitor, film)
    study.blind.note_opened(film, user_id=user.user_id, output=result is not None)
    reads = study.desk.reads(film.entry_id, organisation_id=film.organisation_id)
    judges = visitor.may(Permission.judge_films) and not foreign
    covered = badges(request, visitor, [film.entry_id]).get(film.entry_id, ())
    return render(
        request,
        "film",
        visitor,
        programmes=covered,
        to_ask_for=[] if foreign else programmes_to_ask_for(request, visitor, covered),
        foreign=foreign,
        film=masked(request, visitor, [film])[0],
        opened=opened,
        reading=None if result is None else _said(result.reading),
        facts=_facts(request, result),
        layers=[] if result is None else _layers(result.files, result.reading),
        reads=reads if opened else [each for each in reads if each.user_id == user.user_id],
        priors=_priors(request, visitor, film),
        calls=_calls(request),
        sheet=study.sheets.of(film) if opened else None,
        may_call=judges and not opened and film.state != _PRIOR,
        may_judge=judges and opened and film.state in _JUDGED,
    )


@router.get("/films/{entry_id}/film.png")
def film_picture(
    request: Request,
    visitor: _See,
    entry_id: str,
    *,
    centre: Annotated[float, Query(ge=-1, le=2)] = 0.5,
    width: Annotated[float, Query(gt=0, le=2)] = 1.0,
    side: Annotated[int, Query(ge=16, le=_LONGEST_SIDE)] = _SIDE,
) -> Response:
    """Return the film under a window."""
    film = find_film_to_see(request, visitor, entry_id)
    right = corrections(result_of(request, visitor, film))
    try:
        content = request.app.state.pictures.png(film, centre, width, side, right)
    except FilmRejectedError as error:
        raise RefusedError(422, f"The picture cannot be shown: {error.message}.") from error
    note_seen(request, visitor, film, "film_picture_sent")
    return _picture(content)


@router.get("/films/{entry_id}/pixels")
def film_pixels(
    request: Request,
    visitor: _See,
    entry_id: str,
    *,
    side: Annotated[int, Query(ge=16, le=_LONGEST_SIDE)] = _LONGEST_SIDE,
) -> Response:
    """Return the film's pixels for the viewer: rows of 16-bit grey, little endian; headers tell their number."""
    film = find_film_to_see(request, visitor, entry_id)
    right = corrections(result_of(request, visitor, film))
    try:
        found = request.app.state.pictures.pixels(film, side, right)
    except FilmRejectedError as error:
        raise RefusedError(422, f"The picture cannot be shown: {error.message}.") from error
    note_seen(request, visitor, film, "film_picture_sent")
    told = {"X-Rows": str(found.rows), "X-Columns": str(found.columns), "X-Bytes": str(len(found.content))}
    return Response(found.content, media_type="application/octet-stream", headers=told)


@router.get("/films/{entry_id}/layers/{name}")
def layer(request: Request, visitor: _See, entry_id: str, name: str) -> Response:
    """Return a layer that lies over the film."""
    film = find_film_to_see(request, visitor, entry_id)
    result = result_of(request, visitor, film)
    path = None if result is None else result.files.get(name)
    if path is None or not path.endswith(".png"):
        raise RefusedError(404, "There is no such layer.")
    return _picture(request.app.state.study.store.read(path))


@router.post("/films/{entry_id}/call")
def call_blind(request: Request, visitor: _Judge, entry_id: str) -> Response:
    """Keep what the doctor sees before the model's output shows."""
    film, call = find_film(request, visitor, entry_id), visitor.text("call", 64)
    if call not in _calls(request):
        raise RefusedError(400, "Choose a finding from the list.")
    try:
        request.app.state.study.blind.keep_call(
            film,
            user_id=visitor.user.user_id,
            call=call,
            confidence=_confidence(visitor.text("confidence", 8)),
            comment=visitor.text("comment", 4_000) or None,
        )
    except ArchiveError as error:
        if output_is_open(request, visitor, film):
            raise RefusedError(409, f"This call was not kept: {error}.") from error
        raise
    return RedirectResponse(f"/films/{film.entry_id}", 303)


@router.post("/films/{entry_id}/judgement")
def judge(request: Request, visitor: _Judge, entry_id: str) -> Response:
    """Keep what the doctor says, with the model's output seen."""
    film = find_film(request, visitor, entry_id)
    if not output_is_open(request, visitor, film):
        raise RefusedError(409, _BLIND_FIRST)
    agrees, call = visitor.text("agrees"), visitor.text("call", 64) or None
    if agrees not in ("yes", "no") or (call is not None and call not in _calls(request)):
        raise RefusedError(400, "Say whether you agree, and choose a finding from the list.")
    request.app.state.study.desk.add_read(
        film.entry_id,
        organisation_id=visitor.user.organisation_id,
        user_id=visitor.user.user_id,
        blind=False,
        call=call,
        agrees=agrees == "yes",
        comment=visitor.text("comment", 4_000) or None,
    )
    return RedirectResponse(f"/films/{film.entry_id}", 303)


def _calls(request: Request) -> tuple[str, ...]:
    """Name what a doctor may call a film: a class, or a label set, of the model's task."""
    model = request.app.state.model
    return (*model["classes"], *model.get("label_sets", ()))


def _confidence(text: str) -> float | None:
    """Share out of percent; None where it was not said or is none."""
    return int(text) / 100 if text.isdigit() and int(text) <= 100 else None  # noqa: PLR2004 - percent


def _priors(request: Request, visitor: Visitor, film: DeskFilm) -> tuple[DeskFilm, ...]:
    """Other films of the patient: those taken before first, to lie beside this one; then any other."""
    study = request.app.state.study
    if is_foreign(visitor, film):
        return masked(request, visitor, study.glass.others(film, user_id=visitor.user.user_id))
    before = prior_films(study, film, **visitor.scope)
    known = {each.entry_id for each in before}
    rest = [each for each in study.desk.priors(film, **visitor.scope) if each.entry_id not in known]
    return masked(request, visitor, (*before, *(each for each in rest if each.state not in ("refused", "failed"))))


def _facts(request: Request, result: DeskResult | None) -> list[dict[str, Any]]:
    """Thresholds and the audit's verdict of the model that read the film, contrast by contrast."""
    if result is None:
        return []
    facts = facts_of(request.app.state.study, result)
    if facts is None:
        return []
    shares = result.reading.get("contrasts") or {}
    return [
        {
            "contrast": name,
            "value": shares.get(name),
            "threshold": facts.thresholds.get(name),
            "verdict": facts.verdict(name),
        }
        for name in dict.fromkeys((*facts.thresholds, *facts.verdicts))
    ]


def _said(reading: dict[str, Any]) -> dict[str, Any]:
    """Put a stored reading into the page's terms."""
    from carina.report.page import words_inside  # noqa: PLC0415 - here alone

    shares = reading.get("probabilities") or {}
    allowed = set(reading.get("prediction_set") or ())
    film = reading.get("film") or {}
    return {
        "decision": reading.get("decision") or "refused",
        "reason": words_inside(reading.get("reason") or "", list(reading.get("contrasts") or {})),
        "bars": [{"name": name, "value": value, "possible": name in allowed} for name, value in shares.items()],
        "set": reading.get("prediction_set"),
        "flags": (reading.get("lungs_found") or {}).get("flags", ()),
        "corrected": (reading.get("quality") or {}).get("corrected", ()),
        "boxes": reading.get("boxes") or (),
        "rows": film.get("rows") or 1,
        "columns": film.get("columns") or 1,
        "model": reading.get("model") or {},
        "seconds": reading.get("seconds") or 0.0,
    }


def _layers(files: dict[str, str], reading: dict[str, Any]) -> list[dict[str, Any]]:
    shown = (reading.get("heatmap_shows") or {}).get("of")
    heat = [name for name in files if name.startswith("heat-")]
    made = [{"name": name, "word": words(name[5:]), "shown": name[5:] == shown, "kind": "heat"} for name in heat]
    others = (("outline-lungs", "Lungs"), ("colour-opacity", "Opacity"))
    return made + [
        {"name": name, "word": word, "shown": False, "kind": "other"} for name, word in others if name in files
    ]


def _picture(content: bytes) -> Response:
    return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})
