"""How each film is stored: identifiers of its study, its words, encoding, medium, and what is planted in it."""

from __future__ import annotations

import datetime as dt
import hashlib

import numpy as np

from carina.synthesis.deck import Deck
from carina.synthesis.people import Person
from carina.synthesis.plans import FilmPlan
from carina.synthesis.words import SERIES

__all__ = ["PLANTS", "HeaderDealer"]

PLANTS = (
    "other_ids",
    "comments",
    "request",
    "private_text",
    "private_binary",
    "private_nested",
    "overlay",
    "burnt",
    "padding",
    "preamble",
    "meta",
    "icon",
    "text_object",
)
"""Places for identifiers beside the usual header elements."""

_SYNTAXES = (("explicit", 62.0), ("implicit", 12.0), ("jpeg2000", 12.0), ("rle", 11.0), ("deflated", 3.0))
_MEDIA = (("folder", 72.0), ("zip", 16.0), ("dicomdir", 12.0))
_NONE = 26.0  # weight of a film in which nothing more is planted, against 1 for each place


class HeaderDealer:
    """Deals encodings, media and plants so that even a small hospital has all of them.

    Parameters
    ----------
    seed : int
        Of the hospital; part of every UID.
    rng : numpy.random.Generator
        Luck.
    """

    def __init__(self, seed: int, rng: np.random.Generator) -> None:
        self._seed = seed
        self._rng = rng
        self._syntaxes = Deck([name for name, _ in _SYNTAXES], [weight for _, weight in _SYNTAXES], rng)
        self._media = Deck([name for name, _ in _MEDIA], [weight for _, weight in _MEDIA], rng)
        self._plants = Deck(["", *PLANTS], [_NONE, *(1.0 for _ in PLANTS)], rng)
        self._films: dict[int, int] = {}

    def plan(
        self,
        person: Person,
        *,
        accession: str,
        acquired: dt.datetime,
        label: str,
        request: str,
        position: str,
        told: str,
        series: int,
        instance: int,
        truth: dict[str, str],
    ) -> FilmPlan:
        """Plan one film's file.

        Parameters
        ----------
        person : Person
            Who.
        accession, acquired, request : str, datetime, str
            Of the study.
        label : str
            What the phantom shows.
        position : {"E", "S", "?"}
            Erect, supine or not told.
        told : {"read", "series", "view", "nowhere"}
            Where the position stands.
        series, instance : int
            Numbers.
        truth : dict of str to str
            Expected answers.
        """
        rng = self._rng
        film = self._films.get(person.number, 0)
        self._films[person.number] = film + 1
        planted = {self._plants.deal() for _ in range(2)} - {""}
        syntax = self._syntaxes.deal()
        return FilmPlan(
            person=person,
            film=film,
            label=label,
            accession=accession,
            acquired=acquired,
            study_uid=self.uid("study", accession),
            series_uid=self.uid("series", accession, str(series)),
            sop_uid=self.uid("image", accession, str(series), str(instance), str(film)),
            series_number=series,
            instance_number=instance,
            view_position=self._view(position, told),
            series_description=str(rng.choice(SERIES[position if told == "series" else "?"])),
            protocol_name=str(rng.choice(["", "Chest", "Thorax AP/PA"])),
            request=request,
            severity=round(float(rng.uniform(0.2, 1.0)), 3),
            syntax=syntax,
            photometric="MONOCHROME1" if rng.random() < 0.12 else "MONOCHROME2",  # noqa: PLR2004 - share
            modality="CR" if rng.random() < 0.25 else "DX",  # noqa: PLR2004 - share
            medium=self._media.deal(),
            plants=frozenset(planted),
            truth=truth,
        )

    def uid(self, *parts: str) -> str:
        """Derive a UID under 2.25 (PS3.5 B.2) from the seed and the parts."""
        digest = hashlib.sha256("|".join(("carina hospital", str(self._seed), *parts)).encode()).digest()
        return f"2.25.{int.from_bytes(digest[:16], 'big') >> 1}"

    def _view(self, position: str, told: str) -> str:
        if told == "nowhere":
            return ""
        if told == "view":
            return {"E": "PA", "S": "AP"}[position]
        # Words and records come before the view, which may say something else.
        return str(self._rng.choice(["PA", "AP"]))
