"""One episode's hand: an entry of each table that fit together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from carina.synthesis.deck import Deck
from carina.synthesis.templates import Aetiology, CodeSet, Position, Reading, Stay, Suspicion, templates

__all__ = ["Cards", "Dealer"]

Era = Literal["before", "since"]


@dataclass(frozen=True, slots=True)
class Cards:
    """The entries of one episode. `positions` and `roles` have one sign a film, whatever the suspicion."""

    reading: Reading
    aetiology: Aetiology
    suspicion: Suspicion
    codes: CodeSet
    stay: Stay
    positions: str
    roles: str

    @property
    def first_suspected(self) -> int:
        """Index of the first film taken for suspected pneumonia."""
        return 1 if self.suspicion.marks == "later" else 0


class Dealer:
    """Deals episodes so that every entry of every table comes up early.

    Parameters
    ----------
    rng : numpy.random.Generator
        Luck.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        table = templates()
        self._rng = rng
        self._readings = Deck(table.reading, [e.weight for e in table.reading], rng)
        self._suspicions = Deck(table.suspicion, [e.weight for e in table.suspicion], rng)
        self._stays = Deck(table.stay, [e.weight for e in table.stay], rng)
        # Episodes with and without a code of pneumonia each see every kind of microbiology.
        self._aetiologies = {
            shows: Deck(table.aetiology, [e.weight for e in table.aetiology], rng) for shows in ("on", "off")
        }
        self._codes: dict[tuple[str, str], Deck[CodeSet]] = {}
        for shows in ("on", "off"):
            for suits in ("any", "covid19", "newborn"):
                sets = [e for e in table.codes if (e.shows, e.suits) == (shows, suits)]
                self._codes[shows, suits] = Deck(sets, [e.weight for e in sets], rng)
        self._positions: dict[int, Deck[Position]] = {}
        for films in range(1, 7):
            entries = [e for e in table.position if len(e.positions) == films]
            self._positions[films] = Deck(entries, [e.weight for e in entries], rng)

    def deal(self, *, era: Era | None, newborn: bool, untested: bool = False, reading: str | None = None) -> Cards:
        """Deal one episode.

        Parameters
        ----------
        era : {"before", "since"} or None
            Of its dates; None lets the microbiology decide.
        newborn : bool
            Whether the patient is newborn.
        untested : bool
            No specimens, so that none can fall into the window of another episode nearby.
        reading : str, optional
            Name of the reading wanted.

        Returns
        -------
        Cards
        """
        read = self._readings.deal(None if reading is None else lambda e: e.name == reading)
        aetiology = self._aetiologies[read.codes].deal(
            lambda e: (
                era in (None, e.era) and not (newborn and _before_birth(e)) and not (untested and bool(e.specimens))
            )
        )
        films = len(read.reads)
        # A film before the suspicion must leave at least two, none unread, which would be the first; films of one study
        # share its request.
        several = films > 2 and "_" not in read.reads and not read.studies  # noqa: PLR2004 - films
        suspicion = self._suspicions.deal(lambda e: e.marks != "later" or several)
        positions, roles = self._place(read, later=suspicion.marks == "later")
        suits = "newborn" if newborn else "covid19" if aetiology.cause == "covid19" else "any"
        cuts = sum(_cuttable(read, i) for i in range(films)) if films else 1
        stay = self._stays.deal(lambda e: len(e.gaps) <= cuts)
        codes = self._codes[read.codes, suits].deal()
        return Cards(read, aetiology, suspicion, codes, stay, positions, roles)

    def _place(self, read: Reading, *, later: bool) -> tuple[str, str]:
        """Positions and roles of the films; where suspicion came later, the first film has no role."""
        films = len(read.reads) - later
        if films <= 0:
            return "", ""

        def fits(entry: Position) -> bool:
            # The method does not say whether a film without a read can be the last: not asked here.
            return films == 1 or all(
                role == "-" for role, sign in zip(entry.roles, read.reads, strict=True) if sign == "_"
            )

        entry = self._positions[films].deal(None if later else fits)
        if not later:
            return entry.positions, entry.roles
        return str(self._rng.choice(list("ES?"))) + entry.positions, "-" + entry.roles


def _before_birth(entry: Aetiology) -> bool:
    """Whether a newborn cannot have it: COVID-19, for its codes, and specimens from before the admission."""
    early = any(one.admission is not None or (one.film or 0.0) < -3 for one in entry.specimens)  # noqa: PLR2004 - the first film's hour
    return early or entry.cause == "covid19"


def _cuttable(read: Reading, film: int) -> bool:
    """Whether a transfer fits behind a film: the next one is not taken within the same hours."""
    return read.at is None or film == len(read.at) - 1 or read.at[film + 1] - read.at[film] >= 12  # noqa: PLR2004 - hours
