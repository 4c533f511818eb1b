"""A film's texture sheet: asked for here, made by a worker, shown as a page that runs nothing and reaches nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from carina.web.permissions import Guard, Permission, RefusedError, Visitor
from carina.web.seeing import find_film, find_film_to_see, note_seen, output_is_open

__all__ = ["router"]

router = APIRouter()

_See = Annotated[Visitor, Depends(Guard(Permission.see_films))]
_STYLE: Final = re.compile(rb"<style>(.*?)</style>", re.DOTALL)
_NONE: Final = "There is no texture sheet of this film."


@router.get("/films/{entry_id}/texture")
def sheet(request: Request, visitor: _See, entry_id: str) -> Response:
    """Return the sheet."""
    film, study = find_film_to_see(request, visitor, entry_id), request.app.state.study
    made = study.sheets.of(film) if output_is_open(request, visitor, film) else None
    if made is None or made.page is None:
        raise RefusedError(404, _NONE)
    note_seen(request, visitor, film, "sheet_seen")
    content = study.store.read(made.page)
    styles = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(each).digest()).decode()}'" for each in _STYLE.findall(content)
    )
    policy = f"default-src 'none'; img-src data:; style-src {styles}; sandbox; base-uri 'none'; frame-ancestors 'none'"
    return Response(content, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy})


@router.post("/films/{entry_id}/texture")
def ask(request: Request, visitor: _See, entry_id: str) -> Response:
    """Ask a worker for the sheet."""
    film, state = find_film(request, visitor, entry_id), request.app.state
    if not output_is_open(request, visitor, film):
        raise RefusedError(409, "Say first what you see yourself; the texture sheet opens then.")
    state.study.sheets.ask(film, user_id=visitor.user.user_id)
    state.queue.put_sheet(film.organisation_id, film.entry_id)
    return RedirectResponse(f"/films/{film.entry_id}", 303)
