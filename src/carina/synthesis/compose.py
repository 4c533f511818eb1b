"""A plan of the whole hospital from a seed: who comes when."""

from __future__ import annotations

import datetime as dt

import numpy as np

from carina.synthesis.cards import Dealer, Era
from carina.synthesis.deck import Deck
from carina.synthesis.episode import EpisodeWriter, Serials
from carina.synthesis.headers import HeaderDealer
from carina.synthesis.people import Person, draw_person, numbers
from carina.synthesis.plans import HospitalPlan
from carina.synthesis.studies import StudyWriter

__all__ = ["Composer"]

# Kinds of patients and their weights.
_KINDS = (
    ("adult", 60.0),
    ("child", 6.0),
    ("newborn", 3.0),
    ("over_89", 4.0),
    ("outpatient", 3.0),
    ("film_after_discharge", 3.0),
    ("readmitted_after_a_day", 2.0),
    ("readmitted_after_30_hours", 2.0),
    ("film_without_records", 1.0),
)
_ERAS = {
    # Whole series of stays fit between these days; COVID-19 begins well between the two.
    "before": (dt.date(2018, 2, 1), 365),
    "since": (dt.date(2020, 5, 1), 480),
}
_EPISODES = (0.66, 0.25, 0.09)  # shares of patients with one, two, three stays


class Composer:
    """Composes patients one after the other.

    Parameters
    ----------
    seed : int
        Of the hospital, 0 or more.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 20200820])
        self._seed = seed
        self.plan = HospitalPlan()
        self.headers = HeaderDealer(seed, self._rng)
        self.serials = Serials(self._rng)
        self.studies = StudyWriter(self.plan, self.headers, self.serials.accession, self._rng)
        self._episodes = EpisodeWriter(self.plan, self.serials, self.studies, self._rng)
        self._dealer = Dealer(self._rng)
        self._kinds = Deck([name for name, _ in _KINDS], [weight for _, weight in _KINDS], self._rng)
        self._numbers = numbers(self._rng)

    def person(self, age: float, day: dt.date) -> Person:
        """Draw a person of about an age in years on a day, and count them in."""
        born = day - dt.timedelta(days=int(age * 365.25))
        number = (self._seed % 100_000) * 100_000 + len(self.plan.people)
        person = draw_person(number, next(self._numbers), born, self._rng)
        self.plan.people.append(person)
        return person

    def patient(self) -> None:
        """Compose one patient."""
        kind = self._kinds.deal()
        if kind in {"outpatient", "film_without_records"}:
            self._outside(kind)
        elif kind.startswith("readmitted"):
            self._readmitted(24.0 if kind == "readmitted_after_a_day" else 30.0)
        else:
            self._inpatient(kind)

    def start(self, era: Era) -> dt.datetime:
        """Draw the moment of a first admission."""
        first, days = _ERAS[era]
        minutes = int(self._rng.integers(days * 24 * 60))
        return dt.datetime.combine(first, dt.time()) + dt.timedelta(minutes=minutes)

    def _inpatient(self, kind: str) -> None:
        rng = self._rng
        newborn = kind == "newborn"
        cards = self._dealer.deal(era=None, newborn=newborn)
        era = cards.aetiology.era
        start = self.start(era)
        person = self.person(self._age(kind), start.date())
        stays = 1 if newborn else 1 + int(rng.choice(3, p=_EPISODES))
        for number in range(1, stays + 1):
            if number > 1:
                cards = self._dealer.deal(era=era, newborn=False)
            end = self._episodes.write(person, number, start, cards)
            # A month and more apart, so that no specimen of one stay falls into the window of another.
            start = end + dt.timedelta(hours=float(rng.uniform(40 * 24, 90 * 24)))
        if kind == "film_after_discharge":
            day = end + dt.timedelta(days=float(rng.uniform(12, 30)))
            self.studies.write_outside(person, day, sign=str(rng.choice(["P", "N"])), why="not_admitted")

    def _readmitted(self, hours: float) -> None:
        """Two stays a day or a little more apart: never one episode, though nearly (M9)."""
        era: Era = "since" if self._rng.random() < 0.5 else "before"  # noqa: PLR2004 - half
        start = self.start(era)
        person = self.person(self._age("adult"), start.date())
        # The first film of the second stay would change the labels of the first stay, were they merged.
        for number, reading in ((1, "missed_on_the_only_film"), (2, "seen_twice")):
            cards = self._dealer.deal(era=era, newborn=False, untested=True, reading=reading)
            start = self._episodes.write(person, number, start, cards) + dt.timedelta(hours=hours)

    def _outside(self, kind: str) -> None:
        start = self.start("since")
        person = self.person(self._age("adult"), start.date())
        known = kind == "outpatient"
        for visit in range(int(self._rng.integers(1, 3))):
            sign = str(self._rng.choice(["P", "N"]))
            day = start + dt.timedelta(days=31 * visit)
            self.studies.write_outside(person, day, sign=sign, read=known, why="not_admitted")

    def _age(self, kind: str) -> float:
        rng = self._rng
        low, high = {"newborn": (0.0, 0.003), "child": (1.0, 15.0), "over_89": (90.0, 103.0)}.get(kind, (16.0, 89.0))
        return float(rng.uniform(low, high))
