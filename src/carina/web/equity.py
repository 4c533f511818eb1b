"""The equity page, and the access programmes of an organisation (M35)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from carina.archive import NewProgramme, equity_films, first_receipt
from carina.errors import CarinaError
from carina.evidence.equity import LEAST, MEASURES, equity_table, periods
from carina.evidence.paired_runs import task_of
from carina.evidence.sharing_aggregates import share_numbers
from carina.records import GROUPS
from carina.service.study_folders import StudyFolders, read_json
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor
from carina.web.seeing import find_film
from carina.web.study_common import note, seen_studies

__all__ = ["router"]

router = APIRouter()

_Equity = Annotated[Visitor, Depends(Guard(Permission.see_equity))]
_Manage = Annotated[Visitor, Depends(Guard(Permission.manage_programmes))]
_Request = Annotated[Visitor, Depends(Guard(Permission.request_programme))]
_SHOWN: Final = ("ethnicity", "sex", "age")
_EVALUATED: Final = ("sensitivity", "specificity")


@router.get("/equity")
def equity(request: Request, visitor: _Equity, period: Annotated[str, Query(max_length=10)] = "") -> Response:
    """Show the results of one period that is over."""
    state, home = request.app.state, visitor.user.organisation_id
    engine = state.study.archive.engine
    first = first_receipt(engine, organisation_id=home)
    today = date.today()  # noqa: DTZ011 - the day where the server stands
    over = [] if first is None else periods(_day(first), today, state.settings.research.period)
    chosen = next((each for each in over if each[0].isoformat() == period), over[0] if over else None)
    table, films = None, 0
    if chosen is not None:
        begin, end = (datetime(each.year, each.month, each.day).astimezone().timestamp() for each in chosen)
        found = equity_films(engine, organisation_id=home, since=begin, until=end)
        films, table = found.height, equity_table(found)
    note(request, visitor, "equity_seen", period=None if chosen is None else chosen[0].isoformat())
    return render(
        request,
        "equity",
        visitor,
        periods=over,
        chosen=chosen,
        films=films,
        table=table,
        words_of=MEASURES,
        least=LEAST,
        length=state.settings.research.period,
        evaluations=_evaluations(request, visitor),
        programmes=_counted(request, home),
        may_manage=visitor.may(Permission.manage_programmes),
    )


@router.get("/programmes")
def programmes(request: Request, visitor: _Manage) -> Response:
    """List the access programmes of the organisation."""
    return _programmes(request, visitor)


@router.post("/programmes")
def add_programme(request: Request, visitor: _Manage) -> Response:
    """Begin a programme."""
    chosen = tuple(each for each in GROUPS if each != "Unknown" and visitor.text(f"ethnicity_{each}") == "yes")
    try:
        new = NewProgramme(
            name=visitor.text("name", 65),
            sentence=visitor.text("sentence", 501),
            ethnicities=chosen,
            youngest=_years(visitor.text("youngest", 4)),
            oldest=_years(visitor.text("oldest", 4)),
            on_request=visitor.text("on_request") == "yes",
        )
        request.app.state.study.programmes.add(
            new, organisation_id=visitor.user.organisation_id, by=visitor.user.user_id
        )
    except CarinaError as error:
        return _programmes(request, visitor, message=f"{error}.", status=400)
    return RedirectResponse("/programmes", 303)


@router.post("/programmes/{programme_id}/end")
def end_programme(request: Request, visitor: _Manage, programme_id: int) -> Response:
    """End a programme."""
    try:
        request.app.state.study.programmes.end(
            programme_id, organisation_id=visitor.user.organisation_id, by=visitor.user.user_id
        )
    except CarinaError as error:
        raise RefusedError(404, f"{error}.") from error
    return RedirectResponse("/programmes", 303)


@router.post("/films/{entry_id}/programmes")
def request_programme(request: Request, visitor: _Request, entry_id: str) -> Response:
    """Ask that a programme covers a film."""
    film, number = find_film(request, visitor, entry_id), visitor.text("programme", 12)
    try:
        request.app.state.study.programmes.request(
            film.entry_id,
            int(number) if number.isdecimal() else 0,
            organisation_id=visitor.user.organisation_id,
            by=visitor.user.user_id,
        )
    except CarinaError as error:
        raise RefusedError(400, f"{error}.") from error
    return RedirectResponse(f"/films/{film.entry_id}", 303)


def _programmes(request: Request, visitor: Visitor, *, message: str | None = None, status: int = 200) -> Response:
    home = visitor.user.organisation_id
    return render(
        request,
        "programmes",
        visitor,
        status=status,
        programmes=_counted(request, home),
        groups=[each for each in GROUPS if each != "Unknown"],
        least=LEAST,
        message=message,
    )


def _counted(request: Request, home: int) -> list[dict[str, Any]]:
    """Programmes with how many people they cover; both ways together where one way is few."""
    service = request.app.state.study.programmes
    counts = service.counts(home)
    found = []
    for each in service.programmes(home):
        ways = {how: counts.get(each.programme_id, {}).get(how, (0, 0)) for how in ("rule", "request")}
        shown = all(people == 0 or people >= LEAST for _, people in ways.values())
        people = sum(people for _, people in ways.values())
        found.append({"it": each, "ways": ways if shown else None, "few": people < LEAST and people > 0, "all": people})
    return found


def _evaluations(request: Request, visitor: Visitor) -> list[dict[str, Any]]:
    """Sensitivity and specificity by group of the newest evaluation of each study that the visitor is shown."""
    found = []
    for each in seen_studies(request, visitor):
        folders = StudyFolders(each)
        for run in folders.runs():
            metrics = read_json(run.path / "metrics.json", folders.runs_folder)
            rows = [] if metrics is None else _by_group(metrics)
            if rows:
                shown = [one for one in rows if one.get("note") != "suppressed"]
                found.append({"study": each, "run": run.name, "rows": shown, "held_back": len(rows) - len(shown)})
                break
    return found


def _by_group(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        shared = share_numbers(metrics.get("numbers") or (), task_of(metrics.get("task") or {}))
    except (CarinaError, ValueError, TypeError, KeyError):
        return []
    return [
        one
        for one in shared.numbers
        if one.get("group") == "subgroup"
        and one.get("measure") in _EVALUATED
        and str(one.get("cell")).partition("=")[0] in _SHOWN
        and "=" in str(one.get("cell"))
    ]


def _years(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _day(seconds: float) -> date:
    return datetime.fromtimestamp(seconds).astimezone().date()
