"""What the study pages share: which studies a visitor sees, and the note of every look."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request

from carina.service.study_folders import StudyFolders
from carina.settings import ResearchStudy
from carina.web.permissions import RefusedError, Visitor

__all__ = ["NO_STUDY", "folders_of", "home_name", "note", "seen_studies"]

NO_STUDY: Final = "There is no such study, or it is not shown to your organisation."


def home_name(request: Request, visitor: Visitor) -> str:
    """Name of the visitor's organisation."""
    home = visitor.user.organisation_id
    names = {each.organisation_id: each.name for each in request.app.state.study.accounts.organisations()}
    return str(names.get(home, ""))


def seen_studies(request: Request, visitor: Visitor) -> list[ResearchStudy]:
    """Studies that the settings show to the visitor's organisation."""
    home = home_name(request, visitor)
    return [each for each in request.app.state.settings.research.studies if home in each.organisations]


def folders_of(request: Request, visitor: Visitor, study: str) -> StudyFolders:
    """Find a study that the visitor sees; another's and none at all look the same.

    Raises
    ------
    RefusedError
    """
    for each in seen_studies(request, visitor):
        if each.name == study:
            return StudyFolders(each)
    raise RefusedError(404, NO_STUDY)


def note(request: Request, visitor: Visitor, event: str, **details: Any) -> None:
    """Note in the audit chain what a visitor looked at."""
    user = visitor.user
    said = {"organisation": user.organisation_id, "user": user.user_id, **details}
    request.app.state.study.archive.audit(event, said)
