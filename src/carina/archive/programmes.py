"""Access programmes, such as free reading for Maori patients, and what hospital records say of people (M35, M17).

A programme covers films that were received while it ran: by its rule, where records say enough of the patient, or
because a user asked for it. It changes what is charged or offered, never the order of reading.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Final, Literal, TypeAlias, cast

from sqlalchemy import Connection, Engine, and_, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from carina.archive.archive import append_audit
from carina.archive.database import reading, writing
from carina.archive.desk_tables import DeskFilmRow
from carina.archive.study_tables import DeskProgrammeRow, PersonRow, ProgrammeRow
from carina.errors import ArchiveError

__all__ = ["Covered", "How", "NewProgramme", "Person", "Programme", "Programmes", "age_on"]

How: TypeAlias = Literal["rule", "request"]

_MOST: Final = 500
_OLDEST: Final = 130
_FILM: Final = (DeskFilmRow.entry_id, DeskFilmRow.patient_id, DeskFilmRow.acquired_at, DeskFilmRow.received_at)


@dataclass(frozen=True, slots=True)
class Person:
    """What records say of a patient.

    Attributes
    ----------
    patient_id : str
        As in the films of the organisation.
    ethnicity : str or None
        Prioritised, level 1.
    sex : str or None
        ``"F"``, ``"M"``, ``"X"`` or ``"U"``.
    birth_date : str or None
        ISO 8601.
    """

    patient_id: str
    ethnicity: str | None
    sex: str | None
    birth_date: str | None


@dataclass(frozen=True, slots=True)
class NewProgramme:
    """A rule and its name.

    Attributes
    ----------
    name : str
        Short: it stands on films as a badge.
    sentence : str
        What patients get.
    ethnicities : tuple of str
        Prioritised groups covered; empty for every one.
    youngest, oldest : int or None
        Completed years covered, both included.
    on_request : bool
        Whether a user may ask for it where the rule does not say so, because records may be missing or wrong.
    """

    name: str
    sentence: str
    ethnicities: tuple[str, ...] = ()
    youngest: int | None = None
    oldest: int | None = None
    on_request: bool = True

    def covers(self, person: Person | None, on: date) -> bool:
        """Whether the rule covers a person on a day; what is not recorded covers nothing.

        Examples
        --------
        >>> free = NewProgramme("Free reading", "No charge.", ("Maori",), oldest=17)
        >>> free.covers(Person("ZZZ0016", "Maori", "F", "2010-06-01"), date(2026, 1, 1))
        True
        >>> free.covers(Person("ZZZ0016", "Maori", "F", None), date(2026, 1, 1))
        False
        """
        if not self.has_rule or (self.ethnicities and (person is None or person.ethnicity not in self.ethnicities)):
            return False
        if self.youngest is None and self.oldest is None:
            return True
        age = None if person is None else age_on(person.birth_date, on)
        return age is not None and (self.youngest or 0) <= age <= (_OLDEST if self.oldest is None else self.oldest)

    @property
    def has_rule(self) -> bool:
        """Whether it covers anyone by itself; one without covers on request alone."""
        return bool(self.ethnicities) or self.youngest is not None or self.oldest is not None


@dataclass(frozen=True, slots=True)
class Programme(NewProgramme):
    """A programme of an organisation.

    Attributes
    ----------
    programme_id, organisation_id : int
    added_at : float
        Seconds since 1970; films received earlier are not covered.
    ended_at : float or None
    """

    programme_id: int = 0
    organisation_id: int = 0
    added_at: float = 0.0
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class Covered:
    """A programme on a film.

    Attributes
    ----------
    programme_id : int
    name, sentence : str
    how : {"rule", "request"}
    """

    programme_id: int
    name: str
    sentence: str
    how: How


_NEW: Final = tuple(each.name for each in fields(NewProgramme))
_COLUMNS: Final = [getattr(ProgrammeRow, each.name) for each in fields(Programme)]


def age_on(birth_date: str | None, on: date) -> int | None:
    """Completed years on a day (M16); None where the birth date is not recorded, or later.

    Examples
    --------
    >>> age_on("2000-02-29", date(2026, 2, 28)), age_on("2000-02-29", date(2026, 3, 1)), age_on(None, date(2026, 3, 1))
    (25, 26, None)
    """
    if birth_date is None:
        return None
    born = date.fromisoformat(birth_date)
    years = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    return years if years >= 0 else None


class Programmes:
    """Access programmes and people of a service study; get it from `Study.programmes`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- people ----------------------------------------------------------------------------------------------------

    def link(self, people: Sequence[Person], *, organisation_id: int) -> int:
        """Keep what records say, in place of what they said before, and apply the programmes to these patients' films.

        Returns
        -------
        int
            Patients of whom the organisation has a film.
        """
        now = time.time()
        known: set[str] = set()
        with writing(self._engine) as connection:
            for start in range(0, len(people), _MOST):
                part = people[start : start + _MOST]
                _put_people(connection, part, organisation_id, now)
                wanted = and_(
                    DeskFilmRow.organisation_id == organisation_id,
                    DeskFilmRow.patient_id.in_([each.patient_id for each in part]),
                )
                films = connection.execute(select(*_FILM).where(wanted)).fetchall()
                known |= {row.patient_id for row in films}
                self._apply(connection, films, organisation_id)
            said = {"organisation": organisation_id, "people": len(people), "with_films": len(known)}
            append_audit(connection, "people_linked", said)
        return len(known)

    def person(self, patient_id: str | None, *, organisation_id: int) -> Person | None:
        """Find what records say of a patient; None where they say nothing."""
        with reading(self._engine) as connection:
            return _people(connection, [patient_id], organisation_id).get(patient_id or "")

    # -- programmes ------------------------------------------------------------------------------------------------

    def add(self, new: NewProgramme, *, organisation_id: int, by: int) -> int:
        """Begin a programme; return its number.

        Raises
        ------
        ArchiveError
            If name or sentence is missing, the name is taken, or the rule covers nobody and none may ask.
        """
        _check(new)
        values = {name: getattr(new, name) for name in _NEW} | {"ethnicities": list(new.ethnicities)}
        keys = {"organisation_id": organisation_id, "added_by": by, "added_at": time.time()}
        same = and_(
            ProgrammeRow.organisation_id == organisation_id,
            ProgrammeRow.name == new.name,
            ProgrammeRow.ended_at.is_(None),
        )
        with writing(self._engine) as connection:
            if connection.execute(select(ProgrammeRow.programme_id).where(same)).first() is not None:
                raise ArchiveError("a programme must have a name that no running one has")
            made = insert(ProgrammeRow).values(**keys, **values).returning(ProgrammeRow.programme_id)
            number = int(connection.execute(made).scalar_one())
            append_audit(connection, "programme_begun", {"programme": number, **values, **keys})
        return number

    def end(self, programme_id: int, *, organisation_id: int, by: int) -> None:
        """End a programme; films that it covers stay covered.

        Raises
        ------
        ArchiveError
            If the organisation runs no such programme.
        """
        this = update(ProgrammeRow).where(
            ProgrammeRow.programme_id == programme_id,
            ProgrammeRow.organisation_id == organisation_id,
            ProgrammeRow.ended_at.is_(None),
        )
        with writing(self._engine) as connection:
            if connection.execute(this.values(ended_at=time.time(), ended_by=by)).rowcount != 1:
                raise ArchiveError("the organisation must run the programme that is to end")
            said = {"programme": programme_id, "organisation": organisation_id, "user": by}
            append_audit(connection, "programme_ended", said)

    def programmes(self, organisation_id: int, *, running: bool = False) -> list[Programme]:
        """Programmes of an organisation, newest first; those that run alone where asked."""
        with reading(self._engine) as connection:
            return _programmes(connection, organisation_id, running=running)

    # -- films -----------------------------------------------------------------------------------------------------

    def apply_rules(self, entry_ids: Iterable[str], *, organisation_id: int) -> int:
        """Cover films by the rules of the running programmes; tell how many times one did."""
        wanted = and_(DeskFilmRow.organisation_id == organisation_id, DeskFilmRow.entry_id.in_(list(entry_ids)))
        if not self.programmes(organisation_id, running=True):
            return 0
        with writing(self._engine) as connection:
            films = connection.execute(select(*_FILM).where(wanted)).fetchall()
            return self._apply(connection, films, organisation_id)

    def request(self, entry_id: str, programme_id: int, *, organisation_id: int, by: int) -> None:
        """Cover a film because a user asks for it; twice is once.

        Raises
        ------
        ArchiveError
            If the organisation has no such film, or no such running programme that may be asked for.
        """
        with writing(self._engine) as connection:
            film = and_(DeskFilmRow.entry_id == entry_id, DeskFilmRow.organisation_id == organisation_id)
            running = _programmes(connection, organisation_id, running=True)
            if not any(each.programme_id == programme_id and each.on_request for each in running):
                raise ArchiveError("the organisation must run the programme, and let it be asked for")
            if connection.execute(select(DeskFilmRow.entry_id).where(film)).first() is None:
                raise ArchiveError("the film must be one of the organisation")
            if _cover(connection, entry_id, programme_id, organisation_id, how="request", by=by):
                said = {"entry": entry_id, "programme": programme_id, "organisation": organisation_id, "user": by}
                append_audit(connection, "programme_requested", said)

    def covered(self, entry_ids: Iterable[str], *, organisation_id: int) -> dict[str, tuple[Covered, ...]]:
        """Programmes on films, for their badges; films without one are left out."""
        row = DeskProgrammeRow
        query = select(row.entry_id, row.programme_id, ProgrammeRow.name, ProgrammeRow.sentence, row.how)
        query = query.join(ProgrammeRow, ProgrammeRow.programme_id == row.programme_id)
        wanted = list(entry_ids)[:_MOST]
        query = query.where(row.organisation_id == organisation_id, row.entry_id.in_(wanted)).order_by(row.at)
        found: dict[str, tuple[Covered, ...]] = {}
        with reading(self._engine) as connection:
            for entry, number, name, sentence, how in connection.execute(query):
                found[entry] = (*found.get(entry, ()), Covered(number, name, sentence, cast("How", how)))
        return found

    def counts(self, organisation_id: int) -> dict[int, dict[str, tuple[int, int]]]:
        """Films and patients that each programme covers, by rule and by request."""
        row = DeskProgrammeRow
        query = select(row.programme_id, row.how, row.entry_id, DeskFilmRow.patient_id)
        query = query.join(DeskFilmRow, DeskFilmRow.entry_id == row.entry_id)
        films: dict[tuple[int, str], list[str]] = {}
        with reading(self._engine) as connection:
            for number, how, entry, patient in connection.execute(query.where(row.organisation_id == organisation_id)):
                films.setdefault((number, how), []).append(patient or f"film {entry}")
        found: dict[int, dict[str, tuple[int, int]]] = {}
        for (number, how), patients in films.items():
            found.setdefault(number, {})[how] = (len(patients), len(set(patients)))
        return found

    def _apply(self, connection: Connection, films: Sequence[Any], organisation_id: int) -> int:
        people = _people(connection, [row.patient_id for row in films], organisation_id)
        running = [each for each in _programmes(connection, organisation_id, running=True) if each.has_rule]
        covered = 0
        for row in films:
            on = _day(row.acquired_at, row.received_at)
            for each in running:
                if row.received_at >= each.added_at and each.covers(people.get(row.patient_id or ""), on):
                    covered += _cover(connection, row.entry_id, each.programme_id, organisation_id, how="rule", by=None)
        if covered:
            append_audit(connection, "programmes_applied", {"organisation": organisation_id, "films": covered})
        return covered


def _programmes(connection: Connection, organisation_id: int, *, running: bool) -> list[Programme]:
    query = select(*_COLUMNS).where(ProgrammeRow.organisation_id == organisation_id)
    if running:
        query = query.where(ProgrammeRow.ended_at.is_(None))
    rows = connection.execute(query.order_by(ProgrammeRow.programme_id.desc())).mappings()
    return [Programme(**{**row, "ethnicities": tuple(row["ethnicities"])}) for row in rows]


def _people(connection: Connection, patients: Iterable[str | None], organisation_id: int) -> dict[str, Person]:
    wanted = sorted({each for each in patients if each})
    found: dict[str, Person] = {}
    columns = [getattr(PersonRow, each.name) for each in fields(Person)]
    for start in range(0, len(wanted), _MOST):
        part = PersonRow.patient_id.in_(wanted[start : start + _MOST])
        rows = connection.execute(select(*columns).where(PersonRow.organisation_id == organisation_id, part))
        found |= {row.patient_id: Person(*row) for row in rows}
    return found


def _put_people(connection: Connection, people: Sequence[Person], organisation_id: int, now: float) -> None:
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    names = [each.name for each in fields(Person)]
    rows = [{name: getattr(each, name) for name in names} for each in people]
    if not rows:
        return
    values = [{**row, "organisation_id": organisation_id, "linked_at": now} for row in rows]
    statement = dialect.insert(PersonRow).values(values)
    changed = {name: statement.excluded[name] for name in (*names[1:], "linked_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["organisation_id", "patient_id"], set_=changed))


def _cover(
    connection: Connection, entry_id: str, programme_id: int, organisation_id: int, *, how: How, by: int | None
) -> bool:
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    keys = {"entry_id": entry_id, "programme_id": programme_id, "organisation_id": organisation_id}
    statement = dialect.insert(DeskProgrammeRow).values(**keys, how=how, user_id=by, at=time.time())
    row = connection.execute(statement.on_conflict_do_nothing().returning(DeskProgrammeRow.entry_id)).first()
    return row is not None


def _day(acquired_at: str | None, received_at: float) -> date:
    try:
        return date.fromisoformat((acquired_at or "")[:10])
    except ValueError:
        return datetime.fromtimestamp(received_at).astimezone().date()


def _check(new: NewProgramme) -> None:
    if not new.name or len(new.name) > 64 or not new.sentence or len(new.sentence) > 500:  # noqa: PLR2004 - widths
        raise ArchiveError("a programme must have a name of at most 64 characters, and a sentence of at most 500")
    ages = [age for age in (new.youngest, new.oldest) if age is not None]
    if any(not 0 <= age <= _OLDEST for age in ages) or ages != sorted(ages):
        raise ArchiveError(f"ages must lie between 0 and {_OLDEST} years, the youngest first")
    if not new.has_rule and not new.on_request:
        raise ArchiveError("a programme must cover someone by its rule, or be asked for")
