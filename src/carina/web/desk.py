"""The doctor's pages: worklist, film, upload."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import UploadFile

from carina.archive import DeskFilm, Order, State, WorklistQuery
from carina.errors import ArchiveError, FilmRejectedError
from carina.report.page import words
from carina.service import receive_files
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor

__all__ = ["router"]

router = APIRouter()

_See = Annotated[Visitor, Depends(Guard(Permission.see_films))]
_Send = Annotated[Visitor, Depends(Guard(Permission.send_films))]
_Judge = Annotated[Visitor, Depends(Guard(Permission.judge_films))]
_STATES: Final = ("received", "queued", "read", "refused", "failed", "reported")
_SIDE: Final = 1200
_NOT_THEIRS: Final = "There is no such film, or it is not yours to see."


@router.get("/worklist")
def worklist(request: Request, visitor: _See) -> Response:
    """Show the first page by priority."""
    return _list(request, visitor, "worklist")


@router.post("/worklist")
def search(request: Request, visitor: _See) -> Response:
    """Show a page of what was searched for; a form, so that no patient's name stands in an address."""
    return _list(request, visitor, "worklist_rows" if request.headers.get("hx-request") else "worklist")


@router.get("/films/{entry_id}")
def film_page(request: Request, visitor: _See, entry_id: str) -> Response:
    """Show a film with what the model and the doctors said of it."""
    film, desk = _film(request, visitor, entry_id), request.app.state.study.desk
    home = visitor.user.organisation_id
    desk.note_access("film_seen", organisation_id=home, user_id=visitor.user.user_id, entry_id=entry_id)
    result = desk.result(entry_id, organisation_id=home)
    reads = desk.reads(entry_id, organisation_id=home)
    return render(
        request,
        "film",
        visitor,
        film=film,
        reading=None if result is None else _said(result.reading),
        layers=[] if result is None else _layers(result.files, result.reading),
        reads=reads,
        priors=desk.priors(film, **visitor.scope),
        may_judge=visitor.may(Permission.judge_films),
    )


@router.get("/films/{entry_id}/film.png")
def film_picture(
    request: Request,
    visitor: _See,
    entry_id: str,
    *,
    centre: Annotated[float, Query(ge=-1, le=2)] = 0.5,
    width: Annotated[float, Query(gt=0, le=2)] = 1.0,
    side: Annotated[int, Query(ge=16, le=20_000)] = _SIDE,
) -> Response:
    """Return the film under a window."""
    film = _film(request, visitor, entry_id)
    try:
        content = request.app.state.pictures.png(film, centre, width, side)
    except FilmRejectedError as error:
        raise RefusedError(422, f"The picture cannot be shown: {error.message}.") from error
    return _picture(content)


@router.get("/films/{entry_id}/layers/{name}")
def layer(request: Request, visitor: _See, entry_id: str, name: str) -> Response:
    """Return a layer that lies over the film."""
    _film(request, visitor, entry_id)
    study = request.app.state.study
    result = study.desk.result(entry_id, organisation_id=visitor.user.organisation_id)
    path = None if result is None else result.files.get(name)
    if path is None or not path.endswith(".png"):
        raise RefusedError(404, "There is no such layer.")
    return _picture(study.store.read(path))


@router.post("/films/{entry_id}/judgement")
def judge(request: Request, visitor: _Judge, entry_id: str) -> Response:
    """Keep what the doctor says."""
    film = _film(request, visitor, entry_id)
    agrees, call = visitor.text("agrees"), visitor.text("call", 64) or None
    if agrees not in ("yes", "no") or (call is not None and call not in request.app.state.model["classes"]):
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


@router.get("/upload")
def upload_page(request: Request, visitor: _Send) -> Response:
    """Show the form."""
    return render(request, "upload", visitor, done=None)


@router.post("/upload")
def upload(request: Request, visitor: _Send) -> Response:
    """Take films; each that is refused is told in words."""
    sent = [each for each in visitor.form.getlist("films") if isinstance(each, UploadFile) and each.filename]
    state = request.app.state
    done = list(
        receive_files(
            state.study,
            ((str(each.filename)[:120], each.file) for each in sent),
            organisation_id=visitor.user.organisation_id,
            settings=state.settings,
            queue=state.queue,
            referrer_id=visitor.scope["referrer_id"],
            by=visitor.user.user_id,
        )
    )
    if not done:
        raise RefusedError(400, "Choose at least one film, or a zip of films.")
    return render(request, "upload", visitor, done=done, new=sum(each.new for each in done))


def _film(request: Request, visitor: Visitor, entry_id: str) -> DeskFilm:
    """Find a film of the visitor's; another's and none at all look the same."""
    found = request.app.state.study.desk.film(entry_id[:32], **visitor.scope)
    if found is None:
        user = visitor.user
        request.app.state.study.desk.note_access(
            "film_refused", organisation_id=user.organisation_id, user_id=user.user_id
        )
        raise RefusedError(404, _NOT_THEIRS)
    return cast("DeskFilm", found)


def _list(request: Request, visitor: Visitor, template: str) -> Response:
    state, decision = visitor.text("state"), visitor.text("decision")
    order = "received" if visitor.text("order") == "received" else "due"
    wanted = WorklistQuery(
        order=cast("Order", order),
        open_only=visitor.text("all") != "yes" and state != "reported",
        state=cast("State", state) if state in _STATES else None,
        decision=decision or None,
        search=visitor.text("search", 128),
        after=_after(visitor.text("after")),
        rows=request.app.state.settings.web.rows,
    )
    study = request.app.state.study
    user = visitor.user
    message, films, following = None, (), None
    try:
        page = study.desk.worklist(wanted, **visitor.scope)
        films, following = page.films, page.following
    except ArchiveError as error:
        if not wanted.search:
            raise
        message = f"{error}."
    study.desk.note_access("worklist_seen", organisation_id=user.organisation_id, user_id=user.user_id)
    return render(
        request,
        template,
        visitor,
        films=films,
        following=None if following is None else f"{following[0]!r} {following[1]}",
        wanted=wanted,
        states=_STATES,
        decisions=(*request.app.state.model["classes"], "pneumonia_indeterminate"),
        message=message,
    )


def _after(text: str) -> tuple[float, str] | None:
    place, _, entry = text.partition(" ")
    try:
        return (float(place), entry[:32]) if entry else None
    except ValueError:
        return None


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
    made = [
        {"name": name, "word": f"What spoke for {words(name[5:])}", "shown": name[5:] == shown, "kind": "heat"}
        for name in heat
    ]
    others = (("outline-lungs", "Lungs"), ("colour-opacity", "Opacity"))
    return made + [
        {"name": name, "word": word, "shown": False, "kind": "other"} for name, word in others if name in files
    ]


def _picture(content: bytes) -> Response:
    return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=300"})
