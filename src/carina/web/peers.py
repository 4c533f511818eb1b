"""PACS peers of the visitor's organisation, as the settings name them, with what went between."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from carina.archive import Study
from carina.settings import PacsPeer, Settings
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, Visitor

__all__ = ["router"]

router = APIRouter()

_See = Annotated[Visitor, Depends(Guard(Permission.see_peers))]


@router.get("/administration/peers")
def peers(request: Request, visitor: _See) -> Response:
    """List them; they are changed in the settings file alone."""
    study: Study = request.app.state.study
    settings: Settings = request.app.state.settings
    home = visitor.user.organisation_id
    theirs = _theirs(study, settings, home)
    traffic = study.administration.traffic([each.ae_title for each in theirs], organisation_id=home)
    rows = [(each, traffic[each.ae_title]) for each in theirs]
    return render(request, "peers", visitor, rows=rows, node=settings.pacs)


def _theirs(study: Study, settings: Settings, organisation_id: int) -> list[PacsPeer]:
    """Peers whose films are the organisation's; one that names none is the node's, or that of the only one there is."""
    known = {each.name: each.organisation_id for each in study.accounts.organisations()}
    only = organisation_id if len(known) == 1 else None
    found = []
    for each in settings.pacs.peers:
        named = each.organisation or settings.pacs.organisation
        if (only if named is None else known.get(named)) == organisation_id:
            found.append(each)
    return found
