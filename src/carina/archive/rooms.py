"""What a service study holds, room by room; `Study` adds the folder and the database."""

from __future__ import annotations

from sqlalchemy import Engine

from carina.archive.accounts import Accounts
from carina.archive.administration import Administration
from carina.archive.approvals import Approvals
from carina.archive.audit_pages import AuditPages
from carina.archive.desk import Desk
from carina.archive.glass import Glass
from carina.archive.jobs import StudyJobs
from carina.archive.objects import ResultObjects
from carina.archive.programmes import Programmes
from carina.archive.reading_models import ReadingModels
from carina.archive.sheets import Sheets
from carina.archive.tokens import Tokens

__all__ = ["ServiceRooms"]


class ServiceRooms:
    """Rooms of a service study; part of `Study`, which refuses them where the study is a research study."""

    __slots__ = ()

    @property
    def accounts(self) -> Accounts:
        """Users and sessions of a service study."""
        return Accounts(self._service_engine())

    @property
    def desk(self) -> Desk:
        """Films at the desk of a service study."""
        return Desk(self._service_engine())

    @property
    def jobs(self) -> StudyJobs:
        """Jobs of the study pages of a service study."""
        return StudyJobs(self._service_engine())

    @property
    def approvals(self) -> Approvals:
        """Approvals records that a service study shows."""
        return Approvals(self._service_engine())

    @property
    def models(self) -> ReadingModels:
        """Models that read in a service study."""
        return ReadingModels(self._service_engine())

    @property
    def programmes(self) -> Programmes:
        """Access programmes and linked people of a service study."""
        return Programmes(self._service_engine())

    @property
    def objects(self) -> ResultObjects:
        """Result objects of films of a service study."""
        return ResultObjects(self._service_engine())

    @property
    def sheets(self) -> Sheets:
        """Texture sheets of films of a service study."""
        return Sheets(self._service_engine())

    @property
    def tokens(self) -> Tokens:
        """API tokens of a service study."""
        return Tokens(self._service_engine())

    @property
    def administration(self) -> Administration:
        """Organisations, requests for accounts and open sessions of a service study."""
        return Administration(self._service_engine())

    @property
    def glass(self) -> Glass:
        """Films of other organisations' patients that radiologists opened, with their reasons."""
        return Glass(self._service_engine())

    @property
    def audit_pages(self) -> AuditPages:
        """Audit log of a service study, an organisation's entries at a time."""
        return AuditPages(self._service_engine())

    def _service_engine(self) -> Engine:
        """Give the engine of a service study.

        Raises
        ------
        ArchiveError
            In a research study.
        """
        raise NotImplementedError
