"""The quality gate: refuses what is no frontal chest film, rights what lies on its side or is inverted (M6, M36).

Rules come first (`carina.imaging.quality`), then a small network looks at the whole film. A film that seems upright,
and surely a whole chest, is judged by one look; any other is looked at in all eight states, and the mean of the eight
answers counts.
Films are never mirrored: where the heart lies may be the finding.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carina.errors import BundleError
from carina.imaging.quality import check_rules
from carina.imaging.standardise import Standardisation, standardise
from carina.types import Bytes, Film, FilmHeader, Quality

__all__ = ["GateThresholds", "QualityGate"]

_STATES = 8
_UPRIGHT = 0
_CORRECTIONS = ("", "rotated_90_clockwise", "rotated_180", "rotated_90_counterclockwise")
_WHOLE, _CROPPED, _OTHER = range(3)
_REASONS = {
    _CROPPED: "the lungs are cut off: this looks like a part of a chest film (probability {0:.2f})",
    _OTHER: "this does not look like a frontal chest film (probability that it is one {0:.2f})",
}


class GateThresholds(BaseModel):
    """Where the gate draws its lines; measured on tuning films.

    Attributes
    ----------
    upright : float
        Probability of the upright state from one look, needed to be content with that look.
    sure : float
        Probability of a whole frontal chest from one look, needed likewise.
    state : float
        Least probability of the winning state after eight looks.
    whole : float
        Least probability of a whole frontal chest, the mean of all looks.
    distance : float
        Largest distance from the films of the fitting; 1 is typical for them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    upright: float = Field(gt=0.5, lt=1.0)
    sure: float = Field(gt=0.5, lt=1.0)
    state: float = Field(gt=0.5, lt=1.0)
    whole: float = Field(gt=0.0, lt=1.0)
    distance: float = Field(gt=1.0)


class _Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = Field(ge=1, le=1)
    preprocessing: Standardisation
    thresholds: GateThresholds
    sha256: str
    training: dict[str, Any]


class _Session(Protocol):
    def run(self, output_names: list[str], input_feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]: ...


class QualityGate:
    """Checks films; make one with `QualityGate.load` and use it for many films (safe from several threads).

    Parameters
    ----------
    session : object
        ONNX Runtime session; input ``film`` (B, 1, S, S) in [0, 1], outputs ``state`` (B, 8) and ``kind`` (B, 3), both
        logits, and ``distance`` (B,).
    preprocessing : Standardisation
    thresholds : GateThresholds
    """

    def __init__(self, session: _Session, preprocessing: Standardisation, thresholds: GateThresholds) -> None:
        self._session = session
        self.preprocessing = preprocessing
        self.thresholds = thresholds

    @classmethod
    def load(cls, folder: Path | None = None, *, threads: int = 1) -> QualityGate:
        """Load the gate that ships with the package, or another one.

        Parameters
        ----------
        folder : Path or None
            Folder with ``gate.onnx`` and ``gate.json``; without one, the packaged gate.
        threads : int
            Threads of ONNX Runtime.

        Raises
        ------
        BundleError
            If its files are missing, altered or do not describe a gate.
        """
        home = folder or files("carina.inference") / "assets"
        try:
            model = (home / "gate.onnx").read_bytes()
            card = _Card.model_validate(json.loads((home / "gate.json").read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, ValidationError) as error:
            raise BundleError(
                f"the gate must have readable gate.onnx and gate.json ({type(error).__name__}); "
                "the packaged one comes back by installing carina-cxr again"
            ) from error
        found = hashlib.sha256(model).hexdigest()
        if found != card.sha256:
            raise BundleError(
                f"the gate's gate.onnx must have sha-256 {card.sha256}, found {found}; "
                "the packaged one comes back by installing carina-cxr again"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return cls(session, card.preprocessing, card.thresholds)

    def check(self, film: Film) -> tuple[Film, Quality]:
        """Judge a film, righted where it was turned or inverted.

        Parameters
        ----------
        film : Film

        Returns
        -------
        film : Film
            The film with the corrections of `Quality.corrected` applied; the same film where it was refused or right.
        quality : Quality
            `scores` holds the measures of `check_rules` and, where those passed, ``upright`` (probability of the
            upright state at the first look), ``state`` (of the state decided on), ``whole``, ``cropped``, ``other``
            (of the kind) and ``distance``.
        """
        rules = check_rules(film)
        if not rules.accepted:
            return film, rules
        state, scores = self._look(standardise(film.pixels, self.preprocessing))
        reasons = self._reasons(scores)
        scores = {**rules.scores, **scores}
        if reasons:
            return film, Quality(accepted=False, reasons=reasons, scores=scores)
        righted, corrected = _righted(film, state)
        return righted, Quality(accepted=True, corrected=corrected, scores=scores)

    def _look(self, square: Bytes) -> tuple[int, dict[str, float]]:
        """Decide the state of a standardised film; the kind is the mean of all looks, the distance of the upright."""
        state, kind, distance = self._run(square[None])
        upright = float(_softmax(state)[0, _UPRIGHT])
        kinds = _softmax(kind)
        decided, confidence, row = _UPRIGHT, upright, 0
        if upright < self.thresholds.upright or kinds[0, _WHOLE] < self.thresholds.sure:
            state, kind, distance = self._run(np.stack([_turned(square, by) for by in range(_STATES)]))
            votes = _votes(state)
            decided = int(votes.argmax())
            confidence, row = float(votes[decided]), _inverse(decided)
            kinds = _softmax(kind)
        whole, cropped, other = (float(share) for share in kinds.mean(axis=0))
        scores = {
            "upright": upright,
            "state": confidence,
            "whole": whole,
            "cropped": cropped,
            "other": other,
            "distance": float(distance[row]),
        }
        return decided, scores

    def _run(self, squares: Bytes) -> list[NDArray[Any]]:
        batch = squares[:, None].astype(np.float32) / np.float32(255.0)
        return self._session.run(["state", "kind", "distance"], {"film": batch})

    def _reasons(self, scores: dict[str, float]) -> tuple[str, ...]:
        limits = self.thresholds
        reasons = []
        if scores["whole"] < limits.whole:
            kind = _CROPPED if scores["cropped"] > scores["other"] else _OTHER
            reasons.append(_REASONS[kind].format(scores["cropped"] if kind == _CROPPED else scores["whole"]))
        if scores["distance"] > limits.distance:
            reasons.append(
                f"this is far from the films the gate knows: distance {scores['distance']:.1f}, "
                f"at most {limits.distance:.1f} allowed"
            )
        if not reasons and scores["state"] < limits.state:
            reasons.append(
                "it is not clear which way up the film is, or whether it is inverted "
                f"(probability {scores['state']:.2f})"
            )
        return tuple(reasons)


def _softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float64)


def _turned(square: Bytes, by: int) -> Bytes:
    """Turn counter-clockwise ``by // 2`` quarters and invert where `by` is odd: state 0 becomes state `by`."""
    rotated = np.rot90(square, by // 2)
    return 255 - rotated if by % 2 else rotated


def _combined(first: int, second: int) -> int:
    """State after two turnings; they commute, so their order does not matter."""
    return 2 * ((first // 2 + second // 2) % 4) + (first % 2 ^ second % 2)


def _inverse(state: int) -> int:
    return 2 * (-(state // 2) % 4) + state % 2


def _votes(state: NDArray[Any]) -> NDArray[np.float64]:
    """Probability (8,) of each state of a film, from the state logits (8, 8) of its eight views.

    If the film is in state s, view v is in the combination of s and v; the geometric mean over the views of the
    probability given to that combination is the vote for s.
    """
    logs = np.log(np.maximum(_softmax(state), 1e-12))
    mean = np.array([np.mean([logs[v, _combined(s, v)] for v in range(_STATES)]) for s in range(_STATES)])
    votes: NDArray[np.float64] = _softmax(mean[None])[0]
    return votes


def _righted(film: Film, state: int) -> tuple[Film, tuple[str, ...]]:
    """Undo a state, and name what was done in order."""
    turns, inverted = divmod(state, 2)
    corrected = (("inverted",) if inverted else ()) + ((_CORRECTIONS[turns],) if turns else ())
    if not corrected:
        return film, ()
    pixels = np.rot90(film.pixels, -turns)
    pixels = np.ascontiguousarray(np.float32(1.0) - pixels if inverted else pixels)
    return replace(film, pixels=pixels, header=_turned_header(film.header, turns)), corrected


def _turned_header(header: FilmHeader, turns: int) -> FilmHeader:
    """Swap row and column spacing where a quarter turn swapped rows and columns."""
    if turns % 2 == 0 or header.pixel_spacing_mm is None:
        return header
    row, column = header.pixel_spacing_mm
    return replace(header, pixel_spacing_mm=(column, row))
