"""Which model reads: proposals, a second person's confirmation, going back; and what every page says of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from carina.archive import LEAST_REASON, Activation, Study
from carina.errors import ArchiveError, BundleError, CarinaError
from carina.inference import Bundle
from carina.service.models import check_model, reading_bundle, settings_model
from carina.settings import Settings
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor
from carina.web.study_common import folders_of, home_name, note

__all__ = ["ActiveModel", "router"]

router = APIRouter()

_See = Annotated[Visitor, Depends(Guard(Permission.see_studies))]
_Propose = Annotated[Visitor, Depends(Guard(Permission.propose_models))]
_Activate = Annotated[Visitor, Depends(Guard(Permission.activate_models))]
_FRESH: Final = 5.0
_NO_MODEL: Final = "There is no such proposal."


class ActiveModel(Mapping[str, Any]):
    """What pages say of the model that reads; another process's activation is seen within five seconds.

    Parameters
    ----------
    study : Study
    settings : Settings
    describe : callable
        What pages say of a bundle.
    """

    def __init__(self, study: Study, settings: Settings, describe: Callable[[Bundle], dict[str, Any]]) -> None:
        self._study = study
        self._settings = settings
        self._describe = describe
        self._lock = Lock()
        self._number, bundle = reading_bundle(study, settings)
        self._said = describe(bundle)
        self._looked = time.monotonic()

    def __getitem__(self, name: str) -> Any:
        return self._current()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current())

    def __len__(self) -> int:
        return len(self._current())

    def _current(self) -> dict[str, Any]:
        with self._lock:
            if time.monotonic() - self._looked > _FRESH:
                self._looked = time.monotonic()
                try:
                    if self._study.models.active_id() != self._number:
                        self._number, bundle = reading_bundle(self._study, self._settings)
                        self._said = self._describe(bundle)
                except (ArchiveError, BundleError, OSError):
                    pass  # the page still says which model it knows of; the health page says what is wrong
            return self._said

    def refresh(self) -> None:
        """Look again at the next page."""
        with self._lock:
            self._looked = float("-inf")


@router.get("/models")
def models(request: Request, visitor: _See) -> Response:
    """Show which model reads, proposals, and what read before."""
    return _page(request, visitor)


@router.post("/models")
def propose(request: Request, visitor: _Propose) -> Response:
    """Check a run's bundle and propose it."""
    folders = folders_of(request, visitor, visitor.text("study", 64))
    run, state = visitor.text("run", 128), request.app.state
    place = folders.models().get(run)
    if place is None:
        raise RefusedError(400, "Choose a model of the list.")
    if not visitor.text("reason"):
        raise RefusedError(400, "Say why it should read.")
    try:
        checked = check_model(
            state.study,
            state.settings,
            place,
            origin=f"{folders.study.name}, {run}",
            verdicts=_verdicts(folders, place),
        )
        state.study.models.propose(checked, reason=visitor.text("reason", 2_000), by=visitor.user.user_id)
    except CarinaError as error:
        note(request, visitor, "model_refused", study=folders.study.name, run=run)
        return _page(request, visitor, message=f"Refused: {error}.", status=400)
    return RedirectResponse("/models", 303)


@router.post("/models/{activation_id}/activate")
def activate(request: Request, visitor: _Activate, activation_id: int) -> Response:
    """Let a proposed model read."""
    found = _found(request, visitor, activation_id)
    try:
        request.app.state.study.models.activate(
            found, by=visitor.user.user_id, reason=visitor.text("reason", 2_000) or None
        )
    except CarinaError as error:
        return _page(request, visitor, message=f"Refused: {error}.", status=400)
    _refresh(request)
    return RedirectResponse("/models", 303)


@router.post("/models/{activation_id}/withdraw")
def withdraw(request: Request, visitor: _Propose, activation_id: int) -> Response:
    """Take a proposal back: one's own, or any as one who may activate."""
    found = request.app.state.study.models.activation(activation_id)
    own = found is not None and found.proposed_by == visitor.user.user_id
    if found is None or not (own or visitor.may(Permission.activate_models)):
        raise RefusedError(404, _NO_MODEL)
    try:
        request.app.state.study.models.withdraw(found, by=visitor.user.user_id)
    except CarinaError as error:
        return _page(request, visitor, message=f"Refused: {error}.", status=400)
    return RedirectResponse("/models", 303)


@router.post("/models/roll-back")
def roll_back(request: Request, visitor: _Activate) -> Response:
    """Go back to a model that has read before, or to the settings' own."""
    state, wanted = request.app.state, visitor.text("to", 12)
    _may_change(request, visitor)
    to = state.study.models.activation(int(wanted)) if wanted.isdecimal() else None
    try:
        if wanted != "settings" and to is None:
            raise BundleError("choose the model to go back to")
        state.study.models.roll_back(
            to, settings_model(state.settings), reason=visitor.text("reason", 2_000), by=visitor.user.user_id
        )
    except CarinaError as error:
        return _page(request, visitor, message=f"Refused: {error}.", status=400)
    _refresh(request)
    return RedirectResponse("/models", 303)


def _verdicts(folders: Any, place: Any) -> dict[str, str]:
    from carina.inference import load_bundle  # noqa: PLC0415 - here alone

    return dict(folders.verdicts(load_bundle(place).model_sha256))


def _found(request: Request, visitor: Visitor, activation_id: int) -> Activation:
    _may_change(request, visitor)
    found = request.app.state.study.models.activation(activation_id)
    if found is None:
        raise RefusedError(404, _NO_MODEL)
    assert isinstance(found, Activation)  # noqa: S101 - state is untyped
    return found


def _may_change(request: Request, visitor: Visitor) -> None:
    """Let the administrators of one organisation alone change what reads everyone's films, where settings say so."""
    home = request.app.state.settings.research.models_of
    if home is not None and home_name(request, visitor) != home:
        raise RefusedError(403, "Another organisation's administrators change the reading model.")


def _refresh(request: Request) -> None:
    if isinstance(request.app.state.model, ActiveModel):
        request.app.state.model.refresh()


def _page(request: Request, visitor: Visitor, *, message: str | None = None, status: int = 200) -> Response:
    state = request.app.state
    history = state.study.models.history()
    home = state.settings.research.models_of
    may_change = visitor.may(Permission.activate_models) and home in (None, home_name(request, visitor))
    return render(
        request,
        "models",
        visitor,
        status=status,
        proposals=[each for each in history if each.state == "proposed"],
        history=[each for each in history if each.state != "proposed"],
        earlier=[each for each in history if each.state == "replaced"],
        active=state.study.models.active_id(),
        least=LEAST_REASON,
        may_change=may_change,
        message=message,
    )
