"""Whether texture adds to what a network says already (M27)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carina.evidence.signature_models import Sample
from carina.statistics import Estimate, clustered_auc, likelihood_ratio_test, paired_delong

__all__ = ["Fusion", "judge_fusion"]

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fusion:
    """A network by itself, texture by itself and both, on the same films.

    Attributes
    ----------
    other, texture, fused : Estimate
        AUCs.
    gain : Estimate
        Fused less network, by patient.
    gain_p : float or None
        Paired DeLong test in Obuchowski's form, by patient.
    ratio, ratio_p : float or None
        Likelihood ratio test on the first film of each patient: texture beside network and source.
    films, patients : int
    """

    other: Estimate
    texture: Estimate
    fused: Estimate
    gain: Estimate
    gain_p: float | None
    ratio: float | None
    ratio_p: float | None
    films: int
    patients: int

    @property
    def adds(self) -> bool | None:
        """Whether both are better than the network by itself; `None` where that cannot be told."""
        if self.gain.low is None or self.gain.high is None:
            return None
        return self.gain.low > 0.0


def judge_fusion(part: Sample, other: _Floats, texture: _Floats, fused: _Floats, level: float = 0.95) -> Fusion:
    """Compare scores of the films that have all three.

    Parameters
    ----------
    part : Sample
    other, texture, fused : ndarray, (N,)
        Log odds; NaN where there are none. Texture and fused of models that were not fitted to the film's patient.
    level : float
        In (0, 1).

    Returns
    -------
    Fusion
    """
    known = np.isfinite(other) & np.isfinite(texture) & np.isfinite(fused)
    films = part.take(np.flatnonzero(known))
    truth, people = films.positive.astype(np.float64), films.patients.astype(str)
    other, texture, fused = other[known], texture[known], fused[known]
    pair = paired_delong(truth, fused, other, people, level)
    ratio, ratio_p = _ratio(films, other, texture)
    return Fusion(
        clustered_auc(truth, other, people, level), clustered_auc(truth, texture, people, level),
        clustered_auc(truth, fused, people, level), pair.difference, pair.p_value, ratio, ratio_p,
        len(films), len(set(people.tolist())),
    )  # fmt: skip


def _ratio(films: Sample, other: _Floats, texture: _Floats) -> tuple[float | None, float | None]:
    first = first_rows(films)
    one = films.take(first)
    names = sorted(set(one.sources.tolist()))
    sources = [(one.sources == name).astype(np.float64) for name in names[1:]]
    columns = [np.ones(len(one)), *sources, _scaled(other[first]), _scaled(texture[first])]
    design = np.column_stack(columns)
    try:
        statistic, _, p_value = likelihood_ratio_test(
            design, one.positive.astype(np.float64), [design.shape[1] - 1], penalised=True
        )
    except ValueError:  # one side only, or columns that depend on one another
        return None, None
    return statistic, p_value


def first_rows(films: Sample) -> NDArray[np.intp]:
    """Row of the first film of each patient."""
    return np.asarray(np.unique(films.patients.astype(str), return_index=True)[1], np.intp)


def _scaled(values: _Floats) -> _Floats:
    spread = float(values.std())
    return np.asarray((values - values.mean()) / (spread if spread > 0 else 1.0))
