"""One stay in hospital, from the cards it was dealt."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import count

import numpy as np

from carina.synthesis.cards import Cards
from carina.synthesis.people import Person
from carina.synthesis.plans import Event, HospitalPlan, Result, Vital
from carina.synthesis.studies import StudyWriter
from carina.synthesis.words import REASONS

__all__ = ["EpisodeWriter", "Serials"]

_OTHER_CODES = (("I10",), ("E11.9", "I10"), ("N18.3",), ("Z75.1",), ("F05.9", "I48.9"))


class Serials:
    """Running numbers of a hospital: events, accessions, specimens."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._events = count(1_000_003 + 7 * int(rng.integers(100_000)), 7)
        self._accessions = count(2_000_003 + 7 * int(rng.integers(100_000)), 7)
        self._specimens = count(300_007 + 7 * int(rng.integers(10_000)), 7)

    def event(self) -> str:
        """Return the next event number."""
        return f"IPM{next(self._events):07d}"

    def accession(self) -> str:
        """Return the next accession number."""
        return f"MX{next(self._accessions):07d}"

    def specimen(self, day: dt.datetime) -> str:
        """Return the next specimen number."""
        return f"L{day:%y}-{next(self._specimens):06d}"


@dataclass(frozen=True, slots=True)
class _Clock:
    """Hours after admission: of each film, of each event's begin and end."""

    start: dt.datetime
    films: tuple[float, ...]
    events: tuple[tuple[float, float], ...]

    def at(self, hours: float) -> dt.datetime:
        return self.start + dt.timedelta(minutes=round(60 * hours))


class EpisodeWriter:
    """Writes stays into a plan.

    Parameters
    ----------
    plan : HospitalPlan
        Grows.
    serials : Serials
        Running numbers.
    studies : StudyWriter
        Writes the films and their reads.
    rng : numpy.random.Generator
        Luck.
    """

    def __init__(self, plan: HospitalPlan, serials: Serials, studies: StudyWriter, rng: np.random.Generator) -> None:
        self._plan = plan
        self._serials = serials
        self._studies = studies
        self._rng = rng

    def write(self, person: Person, number: int, start: dt.datetime, cards: Cards) -> dt.datetime:
        """Write one stay and return when it ends.

        Parameters
        ----------
        person : Person
            Who.
        number : int
            Of the episode, from 1.
        start : datetime
            Admission.
        cards : Cards
            What happens.
        """
        clock = self._clock(start, cards)
        self._events(person, clock, cards)
        self._results(person, clock, cards)
        self._vitals(person, clock)
        self._studies.write(person, number, [clock.at(hours) for hours in clock.films], cards)
        return clock.at(clock.events[-1][1])

    def _clock(self, start: dt.datetime, cards: Cards) -> _Clock:
        rng, read = self._rng, cards.reading
        films = len(read.reads)
        hours = list(read.at) if read.at else [3 + h for h in np.cumsum([0, *rng.uniform(22, 46, max(films - 1, 0))])]
        hours = hours[:films]
        places = [i for i in range(films) if i == films - 1 or hours[i + 1] - hours[i] >= 12]  # noqa: PLR2004 - hours
        chosen = (
            sorted(rng.choice(places, len(cards.stay.gaps), replace=False)) if places else [-1] * len(cards.stay.gaps)
        )
        events, begin = [], 0.0
        for place, gap in zip(chosen, cards.stay.gaps, strict=True):
            end = (hours[place] if places else 20.0) + 5
            events.append((begin, end))
            begin = end + gap
            hours = [h + gap if i > place else h for i, h in enumerate(hours)]
        hours = [round(60 * h) / 60 for h in hours]
        first = hours[cards.first_suspected] if hours else 3.0
        latest = max([0.0, *(first + s.film for s in cards.aetiology.specimens if s.film is not None)])
        end = max(hours[-1] if hours else 0.0, begin, latest) + float(rng.uniform(8, 30))
        return _Clock(start, tuple(hours), (*events, (begin, end)))

    def _events(self, person: Person, clock: _Clock, cards: Cards) -> None:
        rng, codes = self._rng, cards.codes.codes
        count_ = len(clock.events)
        sets = [tuple(_OTHER_CODES[int(rng.integers(len(_OTHER_CODES)))]) for _ in range(count_)]
        coded = int(rng.integers(count_))
        sets[coded] = codes
        if count_ > 1 and len(codes) > 1 and rng.random() < 0.5:  # noqa: PLR2004 - half: the codes of an episode, not of an event
            sets[coded], sets[coded - 1] = codes[:1], codes[1:]
        words = REASONS[cards.suspicion.reason]
        reason = words[int(rng.integers(len(words)))]
        for (begin, end), own in zip(clock.events, sets, strict=True):
            self._plan.events.append(Event(person, self._serials.event(), clock.at(begin), clock.at(end), own, reason))
            reason = "Transfer" if not cards.suspicion.reason else reason

    def _results(self, person: Person, clock: _Clock, cards: Cards) -> None:
        first = clock.films[cards.first_suspected] if clock.films else 3.0
        numbers: dict[tuple[dt.datetime, str], str] = {}
        for one in cards.aetiology.specimens:
            collected = clock.at(one.admission if one.admission is not None else first + (one.film or 0.0))
            number = numbers.setdefault((collected, one.specimen), self._serials.specimen(collected))
            self._plan.results.append(
                Result(person, number, collected, one.specimen, one.test, one.organism, one.result)
            )

    def _vitals(self, person: Person, clock: _Clock) -> None:
        for begin, _ in clock.events:
            for _ in range(int(self._rng.integers(1, 3))):
                self._plan.vitals.append(
                    Vital(
                        person,
                        clock.at(begin + float(self._rng.uniform(0.2, 4))),
                        round(float(self._rng.normal(37.8, 0.8)), 1),
                        int(np.clip(self._rng.normal(94, 3), 78, 100)),
                        int(np.clip(self._rng.normal(22, 5), 10, 50)),
                    )
                )
