"""Shares and their intervals (M30, M31)."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import beta, norm

__all__ = ["Proportion", "clopper_pearson", "proportion", "wilson"]

NOT_ESTIMABLE = "not estimable"


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share of trials with its interval.

    Attributes
    ----------
    events, trials : int
    estimate, low, high : float or None
        In [0, 1]; all `None` for 0 trials.
    level : float
        Confidence level of the interval.

    Examples
    --------
    >>> str(proportion(9, 10)), str(proportion(0, 0))
    ('0.900 (0.555 to 0.997), 9/10', 'not estimable, 0/0')
    """

    events: int
    trials: int
    estimate: float | None
    low: float | None
    high: float | None
    level: float = 0.95

    def __str__(self) -> str:
        if self.estimate is None or self.low is None or self.high is None:
            return f"{NOT_ESTIMABLE}, {self.events}/{self.trials}"
        return f"{self.estimate:.3f} ({self.low:.3f} to {self.high:.3f}), {self.events}/{self.trials}"


def clopper_pearson(events: int, trials: int, level: float = 0.95) -> tuple[float, float] | None:
    """Exact interval of a share: covers at least `level` whatever the share.

    Parameters
    ----------
    events, trials : int
        0 <= events <= trials.
    level : float
        In (0, 1); 0.9875 for four intervals that hold together at 95 % (Bonferroni).

    Returns
    -------
    tuple of float or None
        Low and high; `None` for 0 trials.

    Raises
    ------
    ValueError
        If the counts or the level are outside their ranges.

    References
    ----------
    C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404-413, doi:10.1093/biomet/26.4.404.

    Examples
    --------
    >>> [round(limit, 4) for limit in clopper_pearson(0, 10)]
    [0.0, 0.3085]
    """
    _check(events, trials, level)
    if trials == 0:
        return None
    tail = (1.0 - level) / 2.0
    low = 0.0 if events == 0 else float(beta.ppf(tail, events, trials - events + 1))
    high = 1.0 if events == trials else float(beta.ppf(1.0 - tail, events + 1, trials - events))
    return low, high


def wilson(events: int, trials: int, level: float = 0.95) -> tuple[float, float] | None:
    """Score interval of a share, without continuity correction: covers `level` on average over the shares.

    Parameters and raises as `clopper_pearson`.

    Returns
    -------
    tuple of float or None
        Low and high; `None` for 0 trials.

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212, doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> [round(limit, 4) for limit in wilson(5, 10)]
    [0.2366, 0.7634]
    """
    _check(events, trials, level)
    if trials == 0:
        return None
    z = float(norm.ppf(0.5 + level / 2.0))
    share, weight = events / trials, z * z / trials
    centre = (share + weight / 2.0) / (1.0 + weight)
    half = (z / (1.0 + weight)) * ((share * (1.0 - share) + weight / 4.0) / trials) ** 0.5
    low = 0.0 if events == 0 else max(0.0, centre - half)
    high = 1.0 if events == trials else min(1.0, centre + half)
    return low, high


def proportion(events: int, trials: int, level: float = 0.95) -> Proportion:
    """Share with its Clopper-Pearson interval; "not estimable" for 0 trials.

    Raises
    ------
    ValueError
        As `clopper_pearson`.
    """
    limits = clopper_pearson(events, trials, level)
    if limits is None:
        return Proportion(events, trials, None, None, None, level)
    return Proportion(events, trials, events / trials, *limits, level)


def _check(events: int, trials: int, level: float) -> None:
    if not 0 <= events <= trials:
        raise ValueError(f"events must be within 0 and trials; found {events} of {trials}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"a confidence level must be within 0 and 1; found {level!r}")
