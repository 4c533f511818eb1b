"""Access programmes as they stand on films: badges that everyone sees who sees the film."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from fastapi import Request

from carina.archive import Covered, Programme
from carina.web.permissions import Permission, Visitor

__all__ = ["badges", "programmes_to_ask_for"]


def badges(request: Request, visitor: Visitor, entry_ids: Iterable[str]) -> dict[str, tuple[Covered, ...]]:
    """Programmes on films of the visitor's organisation, by film, for ``programme_badges.html.j2``."""
    home = visitor.user.organisation_id
    found = request.app.state.study.programmes.covered(entry_ids, organisation_id=home)
    return cast("dict[str, tuple[Covered, ...]]", found)


def programmes_to_ask_for(request: Request, visitor: Visitor, covered: Iterable[Covered]) -> list[Programme]:
    """List the running programmes that the visitor may ask for on a film that these cover already."""
    if not visitor.may(Permission.request_programme):
        return []
    held = {each.programme_id for each in covered}
    running = request.app.state.study.programmes.programmes(visitor.user.organisation_id, running=True)
    return [each for each in running if each.on_request and each.programme_id not in held]
