"""What is told above every page: films opened by break-glass, and what waits for an administrator."""

from __future__ import annotations

import time
from dataclasses import dataclass

from fastapi import Request

from carina.archive import Study
from carina.web.permissions import Permission, Visitor

__all__ = ["Notice", "OpenGlass", "Told", "told_to"]


@dataclass(frozen=True, slots=True)
class OpenGlass:
    """An opening of the visitor's that has not ended.

    Attributes
    ----------
    break_id : int
    organisation : str
        Whose patient.
    left : float
        Seconds.
    """

    break_id: int
    organisation: str
    left: float


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence, and the page where something can be done about it.

    Attributes
    ----------
    text, to, word : str
    """

    text: str
    to: str
    word: str


@dataclass(frozen=True, slots=True)
class Told:
    """What is told above a page.

    Attributes
    ----------
    openings : tuple of OpenGlass
    notices : tuple of Notice
    """

    openings: tuple[OpenGlass, ...] = ()
    notices: tuple[Notice, ...] = ()


def told_to(request: Request, visitor: Visitor) -> Told:
    """Find what a visitor must not miss; it holds nothing of a patient's."""
    study: Study = request.app.state.study
    user = visitor.user
    if user.password_is_initial:
        return Told()
    openings: tuple[OpenGlass, ...] = ()
    notices, now = [], time.time()
    if visitor.may(Permission.break_glass):
        found = study.glass.open_now(user_id=user.user_id)
        openings = tuple(OpenGlass(each.break_id, each.organisation, each.until_at - now) for each in found)
    if visitor.may(Permission.see_openings) and (number := study.glass.unseen(user.organisation_id)):
        text = f"Break-glass: {number} {'opening has' if number == 1 else 'openings have'} not been looked at."
        notices.append(Notice(text, "/administration/openings", "Look"))
    if visitor.may(Permission.manage_users) and (number := study.administration.waiting_requests(user.organisation_id)):
        text = f"{number} {'request for an account waits' if number == 1 else 'requests for accounts wait'}."
        notices.append(Notice(text, "/administration/requests", "Decide"))
    return Told(openings, tuple(notices))
