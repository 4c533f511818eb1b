"""The films of one stay, their reads, and what the method must make of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from carina.synthesis.cards import Cards
from carina.synthesis.headers import HeaderDealer
from carina.synthesis.people import Person
from carina.synthesis.plans import HospitalPlan, Read
from carina.synthesis.words import REPORTS, REQUESTS

__all__ = ["EXPECTED", "StudyWriter"]

_CODED = {"P": "PN", "N": "NAD", "E": "EQ", "_": ""}
_POSITION = {"E": "ERECT", "S": "SUPINE", "?": ""}
_GOLD = {"P": "pneumonia", "N": "none", ".": ""}
_READ = {"P": "pneumonia", "N": "none", "E": "equivocal", "_": ""}
_ROLE = {"F": "first", "L": "last", "-": ""}
_PLACE = {"E": "erect", "S": "supine", "?": ""}
# Shares: episodes with another truth than the usual one, episodes reported in words alone, coded reads with words too,
# requests and reports that name the patient, unread films without a row.
_ERROR, _WORDS_ALONE, _WORDS_TOO, _NAMED, _NO_ROW = 0.2, 0.3, 0.5, 0.12, 0.5


class StudyWriter:
    """Writes films and reads into a plan.

    Parameters
    ----------
    plan : HospitalPlan
        Grows.
    headers : HeaderDealer
        What each film's file looks like.
    accession : callable
        Gives the next accession number.
    rng : numpy.random.Generator
        Luck.
    """

    def __init__(
        self, plan: HospitalPlan, headers: HeaderDealer, accession: Callable[[], str], rng: np.random.Generator
    ) -> None:
        self._plan = plan
        self._headers = headers
        self._accession = accession
        self._rng = rng

    def write(self, person: Person, episode: int, acquired: list[dt.datetime], cards: Cards) -> None:
        """Write the films of one stay.

        Parameters
        ----------
        person : Person
            Who.
        episode : int
            Number of the stay, from 1.
        acquired : list of datetime
            When each film is taken.
        cards : Cards
            What they show and what is written about them.
        """
        rng, reading = self._rng, cards.reading
        sick = reading.sick[0]
        if len(reading.sick) > 1 and rng.random() < _ERROR:
            sick = reading.sick[1 + int(rng.integers(len(reading.sick) - 1))]
        signs = reading.studies or "".join(str(i) for i in range(len(reading.reads)))
        words_alone = bool(rng.random() < _WORDS_ALONE)
        rows: dict[str, Read] = {}
        for i, sign in enumerate(signs):
            told = self._told(cards.positions[i], recorded=signs.count(sign) == 1 and reading.reads[i] != "_")
            if sign not in rows:
                rows[sign] = self._read(person, acquired[i], cards, i, words_alone=words_alone)
            if told == "read":
                rows[sign] = replace(
                    rows[sign], position=_POSITION[cards.positions[i]], mobile=str(rng.choice(["Y", "N", ""]))
                )
            truth = expected(cards, i) | {
                "episode": f"{person.nhi}/{episode}",
                "age_expected": str(person.age(acquired[i].date())),
                "position_told": told,
            }
            self._plan.films.append(
                self._headers.plan(
                    person,
                    accession=rows[sign].accession,
                    acquired=acquired[i],
                    label=cards.aetiology.cause if sick[i] == "P" else "normal",
                    request=rows[sign].request,
                    position=cards.positions[i],
                    told=told,
                    series=reading.series[i] if reading.series else 1,
                    instance=reading.instances[i] if reading.instances else 1 + signs[:i].count(sign),
                    truth=truth,
                )
            )
        # A film without a read has no row, or one in which the report is still to come.
        late = {signs[i] for i, sign in enumerate(reading.reads) if sign == "_" and i > 0 and rng.random() < _NO_ROW}
        self._plan.reads.extend(row for sign, row in rows.items() if sign not in late)

    def write_outside(self, person: Person, acquired: dt.datetime, *, sign: str, read: bool = True, why: str) -> None:
        """Write a film that was taken outside any admission.

        Parameters
        ----------
        person : Person
            Who.
        acquired : datetime
            When.
        sign : {"P", "N"}
            What the read says, and what the film shows.
        read : bool
            Whether the reads extract knows it.
        why : str
            Expected exclusion.
        """
        row = self._row(person, acquired, sign, suspected=True, words_alone=False)
        if read:
            self._plan.reads.append(row)
        truth = dict.fromkeys(EXPECTED, "") | {
            "read": _READ[sign] if read else "",
            "in_cohort_expected": "no",
            "exclusion_expected": why,
            "position": "erect",
            "age_expected": str(person.age(acquired.date())),
        }
        self._plan.films.append(
            self._headers.plan(
                person,
                accession=row.accession,
                acquired=acquired,
                label="bacterial" if sign == "P" else "normal",
                request=row.request,
                position="E",
                told="series",
                series=1,
                instance=1,
                truth=truth,
            )
        )

    def _told(self, position: str, *, recorded: bool) -> str:
        """Where the position stands: in the reads extract, in the series' words, only in the view, or nowhere."""
        if position == "?":
            return "nowhere"
        return str(self._rng.choice(["read", "series", "view"] if recorded else ["series", "view"]))

    def _read(self, person: Person, acquired: dt.datetime, cards: Cards, film: int, *, words_alone: bool) -> Read:
        """Row of a study in the reads extract, its position still open."""
        marks = cards.suspicion.marks
        suspected = marks == "all" or (marks == "later" and film > 0)
        return self._row(person, acquired, cards.reading.reads[film], suspected=suspected, words_alone=words_alone)

    def _row(self, person: Person, acquired: dt.datetime, sign: str, *, suspected: bool, words_alone: bool) -> Read:
        rng = self._rng
        request = str(rng.choice(REQUESTS[suspected]))
        if rng.random() < _NAMED:
            request = f"{person.given} {person.surname} {person.nhi}: {request}"
        report = ""
        if sign != "_" and (words_alone or rng.random() < _WORDS_TOO):
            report = str(rng.choice(REPORTS[sign]))
            if rng.random() < _NAMED:
                report = f"{person.surname}, {person.given} (NHI {person.nhi}). {report}"
        return Read(
            person=person,
            accession=self._accession(),
            acquired=acquired,
            read=None if sign == "_" else acquired + dt.timedelta(minutes=int(rng.integers(20, 900))),
            request=request,
            position="",
            mobile="",
            coded="" if words_alone else _CODED[sign],
            report=report,
        )


EXPECTED = (
    "episode",
    "reading",
    "aetiology_case",
    "suspicion",
    "stay",
    "codes",
    "read",
    "position",
    "position_told",
    "gold_expected",
    "aetiology_expected",
    "coinfection_expected",
    "covid_contrast_expected",
    "bacterial_viral_expected",
    "first_last_expected",
    "pair_expected",
    "in_cohort_expected",
    "exclusion_expected",
    "age_expected",
)


def expected(cards: Cards, film: int) -> dict[str, str]:
    """Copy the answers for one film from the cards; nothing is reckoned but which clause excludes it."""
    reading, aetiology, role = cards.reading, cards.aetiology, cards.roles[film]
    sick = reading.gold[film] == "P"
    exclusion = _exclusion(cards, film)
    return dict.fromkeys(EXPECTED, "") | {
        "reading": reading.name,
        "aetiology_case": aetiology.name,
        "suspicion": cards.suspicion.name,
        "stay": cards.stay.name,
        "codes": reading.codes,
        "read": _READ[reading.reads[film]],
        "position": _PLACE[cards.positions[film]],
        "gold_expected": _GOLD[reading.gold[film]],
        "aetiology_expected": aetiology.aetiology if sick else "",
        "coinfection_expected": ("yes" if aetiology.coinfection else "no") if sick else "",
        "covid_contrast_expected": aetiology.covid if sick else "",
        "bacterial_viral_expected": aetiology.bacterial_viral if sick else "",
        "first_last_expected": "" if cards.suspicion.name == "never" else _ROLE[role],
        "pair_expected": _pair(cards) if role != "-" and cards.suspicion.name != "never" else "",
        "in_cohort_expected": "no" if exclusion else "yes",
        "exclusion_expected": exclusion,
    }


def _exclusion(cards: Cards, film: int) -> str:
    if cards.suspicion.name == "never" or film < cards.first_suspected:
        return cards.suspicion.exclusion
    if cards.reading.gold[film] == ".":
        return "no_read"
    return "not_first_or_last" if cards.roles[film] == "-" else ""


def _pair(cards: Cards) -> str:
    """Say matched where the gold standard differs within the pair (M10)."""
    if "L" not in cards.roles:
        return "single" if len(cards.roles) == 1 else "dropped"
    first, last = (cards.reading.gold[cards.roles.index(role)] for role in "FL")
    return "matched" if first != last else "alike"
