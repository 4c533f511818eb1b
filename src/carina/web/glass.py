"""Break-glass: a radiologist opens the films of another organisation's patient; administrators see each opening."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import RedirectResponse, Response

from carina.archive import LEAST_GLASS_REASON, Study
from carina.errors import ArchiveError
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor
from carina.web.seeing import masked

__all__ = ["router"]

router = APIRouter()

_Break = Annotated[Visitor, Depends(Guard(Permission.break_glass))]
_See = Annotated[Visitor, Depends(Guard(Permission.see_openings))]
_Number = Annotated[int, Path(ge=1, le=2**53)]
_MOST_MISSES: Final = 10
_MISSES_SPAN: Final = 900.0
_SLOW: Final = "You named too many patients who are not there; wait 15 minutes, or call the other organisation."
_NONE: Final = "That organisation has no film of such a patient or accession number; check it letter by letter."
_OFF: Final = "Break-glass is switched off here; call the other organisation."


@router.get("/glass")
def glass_page(request: Request, visitor: _Break) -> Response:
    """Show what is open, and the form."""
    return _page(request, visitor)


@router.post("/glass")
def break_glass(request: Request, visitor: _Break) -> Response:
    """Open the films of a patient; a form, so that no patient stands in an address."""
    study: Study = request.app.state.study
    user, minutes = visitor.user, request.app.state.settings.web.glass_minutes
    misses = {f"glass\0{user.user_id}": _MISSES_SPAN}
    if not minutes:
        raise RefusedError(403, _OFF)
    if any(count >= _MOST_MISSES for count in study.accounts.failures(misses).values()):
        return _page(request, visitor, _SLOW, 429)
    if visitor.text("confirmed") != "yes":
        return _page(request, visitor, "Confirm that you take part in the care of this patient.", 400)
    chosen = visitor.text("organisation", 20)
    if chosen not in {str(number) for number, _ in _others(study, visitor)}:
        return _page(request, visitor, "Choose an organisation from the list.", 400)
    try:
        made = study.glass.open(
            visitor.text("patient", 128),
            organisation_id=int(chosen),
            user_id=user.user_id,
            home_id=user.organisation_id,
            reason=visitor.text("reason", 1_001),
            seconds=minutes * 60.0,
        )
    except ArchiveError as error:
        return _page(request, visitor, f"{error}.", 400)
    if made is None:
        study.accounts.note_failure(misses)  # the attack is a list of patients, tried one after another
        return _page(request, visitor, _NONE, 404)
    return RedirectResponse("/glass", 303)


@router.post("/glass/{break_id}/close")
def close(request: Request, visitor: _Break, break_id: _Number) -> Response:
    """End an opening of one's own."""
    if not request.app.state.study.glass.close(break_id, user_id=visitor.user.user_id):
        raise RefusedError(404, "There is no such opening of yours; it may have ended already.")
    return RedirectResponse("/glass", 303)


@router.get("/administration/openings")
def openings(request: Request, visitor: _See) -> Response:
    """List the openings of the organisation's patients, and by its users."""
    study: Study = request.app.state.study
    home = visitor.user.organisation_id
    found = study.glass.of_organisation(home)
    return render(request, "openings", visitor, openings=found, home=home, now=time.time())


@router.post("/administration/openings/{break_id}/seen")
def seen(request: Request, visitor: _See, break_id: _Number) -> Response:
    """Note that an administrator of the patient's organisation has looked at an opening."""
    user = visitor.user
    done = request.app.state.study.glass.see(break_id, organisation_id=user.organisation_id, user_id=user.user_id)
    if not done:
        raise RefusedError(404, "There is no such opening of your patients that was not looked at.")
    return RedirectResponse("/administration/openings", 303)


def _others(study: Study, visitor: Visitor) -> list[tuple[int, str]]:
    home = visitor.user.organisation_id
    found = study.accounts.organisations()
    return [(each.organisation_id, each.name) for each in found if each.organisation_id != home]


def _page(request: Request, visitor: Visitor, message: str | None = None, status: int = 200) -> Response:
    study: Study = request.app.state.study
    user_id, now = visitor.user.user_id, time.time()
    opened = [
        (each, each.until_at - now, masked(request, visitor, study.glass.films(each.break_id, user_id=user_id)))
        for each in study.glass.open_now(user_id=user_id)
    ]
    values: dict[str, Any] = {"message": message, "opened": opened, "organisations": _others(study, visitor)}
    values["given"] = {name: visitor.text(name, 1_001) for name in ("organisation", "patient", "reason")}
    minutes = request.app.state.settings.web.glass_minutes
    return render(
        request, "glass", visitor, status=status, least=LEAST_GLASS_REASON, minutes=minutes, off=_OFF, **values
    )
