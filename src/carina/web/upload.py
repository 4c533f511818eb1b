"""Films sent from the browser: several at a time, each taken or refused in words."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.datastructures import UploadFile

from carina.service import Received, receive_files
from carina.settings import Settings
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor

__all__ = ["UnderWay", "refuse_without_room", "router", "take_sent"]

router = APIRouter()

_Send = Annotated[Visitor, Depends(Guard(Permission.send_films))]
_LONGEST_NAME: Final = 120


class UnderWay:
    """Bytes of all uploads that are coming in, together: many large ones at a time would fill the disk.

    Parameters
    ----------
    most : int
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._lock = Lock()

    def take(self, count: int) -> bool:
        """Make room for more bytes; False where there is none."""
        with self._lock:
            if self._taken + count > self._most:
                return False
            self._taken += count
            return True

    def give(self, count: int) -> None:
        """Give the room of a finished upload back."""
        with self._lock:
            self._taken -= count


@router.get("/upload")
def upload_page(request: Request, visitor: _Send) -> Response:
    """Show the form."""
    return render(request, "upload", visitor, done=None, most=request.app.state.settings.web.upload_bytes)


@router.post("/upload")
def upload(request: Request, visitor: _Send) -> Response:
    """Take films; each that is refused is told in words. A script that asks for rows alone gets them alone."""
    sent = [each for each in visitor.form.getlist("films") if isinstance(each, UploadFile) and each.filename]
    if not sent:
        raise RefusedError(400, "Choose at least one film, or a zip of films.")
    done = take_sent(request, visitor, sent)
    template = "upload_rows" if request.headers.get("x-rows-only") else "upload"
    most = request.app.state.settings.web.upload_bytes
    return render(request, template, visitor, done=done, new=sum(each.new for each in done), most=most)


def take_sent(request: Request, visitor: Visitor, sent: Sequence[UploadFile]) -> list[Received]:
    """Take files that a page or a program sent, in their order; what is taken is durable when this returns.

    Raises
    ------
    RefusedError
        If the disk has no room.
    """
    state = request.app.state
    refuse_without_room(state.study.folder, state.settings)
    files = ((str(each.filename)[:_LONGEST_NAME], each.file) for each in sent)
    return list(
        receive_files(
            state.study,
            files,
            organisation_id=visitor.user.organisation_id,
            settings=_bounded(state.settings),
            queue=state.queue,
            referrer_id=visitor.scope["referrer_id"],
            by=visitor.user.user_id,
        )
    )


def _bounded(settings: Settings) -> Settings:
    """Bound what a zip of an upload may unpack to: the attack is a full disk."""
    most = min(settings.ingest.archive_bytes, settings.web.unpacked_bytes)
    return settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"archive_bytes": most})})


def refuse_without_room(folder: Path, settings: Settings) -> None:
    """Refuse while the disk is nearly full, so that what was received goes on being read."""
    if shutil.disk_usage(folder).free < settings.web.reserve_bytes:
        raise RefusedError(507, "The disk is nearly full, so that no film is taken now; tell the administrator.")
