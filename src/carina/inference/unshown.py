"""What no source could show is claimed only within bounds (M19, M36).

Where every film of a class comes from hospitals that have none of the classes it is to be told from, a network may tell
the hospitals apart, and nothing in the films says how much of its answer is the disease. Calibration cannot mend that:
it would fit how well the hospitals are told apart. Such classes are parted here from the others of their level, and
the evidence between the parts is held within a likelihood ratio, so that no film moves the odds by more than a sign
of modest worth would. The order of the films stays, and so do decisions, whose thresholds are set afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MOST_RATIO", "Unshown", "find_parts", "held_within"]

MOST_RATIO = 3.0
"""Likelihood ratio of a sign that is right in three of four with the disease and three of four without it."""


class Unshown(BaseModel):
    """A level of the task at which no source shows all parts.

    Attributes
    ----------
    parts : tuple of tuple of str
        Units of the level; within a part some source shows them side by side.
    shares : tuple of float
        Of the parts in the class mix, summing to 1: where the odds stand without any evidence.
    ratio : float
        Largest likelihood ratio between two parts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parts: tuple[tuple[str, ...], ...] = Field(min_length=2)
    shares: tuple[float, ...]
    ratio: float = Field(gt=1)

    def fits(self, units: Sequence[str]) -> bool:
        """Whether the parts are these units, once each, with a share above 0 for every part."""
        named = [name for part in self.parts for name in part]
        return sorted(named) == sorted(units) and len(self.shares) == len(self.parts) and min(self.shares) > 0


def find_parts(units: Sequence[str], shown: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Join units that some source shows side by side.

    Parameters
    ----------
    units : sequence of str
        Of one level, in the task's order.
    shown : mapping of source to sequence of str
        Units that each source shows, by enough patients.

    Returns
    -------
    tuple of tuple of str
        In the order of `units`. Units that no source shows go with the first part: nothing is known of them.

    Examples
    --------
    >>> find_parts(["bacterial", "viral", "covid19"], {"a": ["bacterial", "viral"], "b": ["covid19"]})
    (('bacterial', 'viral'), ('covid19',))
    """
    part = {name: number for number, name in enumerate(units)}
    for together in shown.values():
        joined = {part[name] for name in together}
        part = {name: min(joined) if number in joined else number for name, number in part.items()}
    known = {name for together in shown.values() for name in together}
    first = min((part[name] for name in units if name in known), default=0)
    part = {name: number if name in known else first for name, number in part.items()}
    return tuple(
        tuple(name for name in units if part[name] == number) for number in dict.fromkeys(part[name] for name in units)
    )


def held_within(log_probabilities: NDArray[np.float64], units: Sequence[str], unshown: Unshown) -> NDArray[np.float64]:
    """Hold the evidence between the parts of a level within the likelihood ratio.

    The log-odds between two parts, less those of their shares, pass through ``log(ratio) * tanh(x / log(ratio))``:
    small evidence stays as it is, large evidence comes near the bound, and the order of films stays. With more than
    two parts the same is done to each part's evidence against their mean. Within a part nothing changes.

    Parameters
    ----------
    log_probabilities : ndarray, (B, U)
        Of the units of one level; finite, rows normalised.
    units : sequence of str, (U,)
    unshown : Unshown

    Returns
    -------
    ndarray of float64, (B, U)
        Normalised.

    Examples
    --------
    >>> told = Unshown(parts=(("bacterial",), ("covid19",)), shares=(0.8, 0.2), ratio=3.0)
    >>> np.exp(held_within(np.log([[0.8, 0.2], [1e-9, 1 - 1e-9]]), ["bacterial", "covid19"], told)).round(3).tolist()
    [[0.8, 0.2], [0.571, 0.429]]
    """
    columns = [[units.index(name) for name in part] for part in unshown.parts]
    odds = np.stack([np.logaddexp.reduce(log_probabilities[:, part], axis=1) for part in columns], axis=1)
    shares, half = np.log(np.asarray(unshown.shares)), float(np.log(unshown.ratio)) / 2
    evidence = odds - shares
    evidence = half * np.tanh((evidence - evidence.mean(axis=1, keepdims=True)) / half)
    held = shares + evidence
    held -= np.logaddexp.reduce(held, axis=1, keepdims=True)
    result = log_probabilities.copy()
    for number, part in enumerate(columns):
        result[:, part] += (held - odds)[:, [number]]
    return result
