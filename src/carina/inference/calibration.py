"""From a network's logits to probabilities that mean what they say, for the class mix they were fitted on (M4).

A `Calibration` is what `carina.inference.calibrate` measured on the `calibrate` films: temperatures, class mix,
thresholds, operating points and conformal quantiles. It belongs to one model, by hash. Everything here only applies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from carina.errors import CalibrationError
from carina.inference.unshown import Unshown, held_within
from carina.tasks import Task, Threshold

__all__ = [
    "ROOT",
    "Calibration",
    "Conformal",
    "OperatingPoint",
    "ProportionRecord",
    "ThresholdRecord",
    "calibrated_probabilities",
    "level_units",
    "levels",
    "prediction_set",
    "prior_shift",
    "root_units",
]

ROOT = "root"
"""Name of the level at which groups and ungrouped classes are told apart."""

_MIX_TOLERANCE = 1e-6


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ThresholdRecord(_Record):
    """Threshold of a contrast; see `carina.tasks.Threshold`."""

    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    ages: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("a threshold's low must not exceed its high")
        return self


class ProportionRecord(_Record):
    """A share with its exact interval (Clopper-Pearson, 95 %); all `None` where there were no trials."""

    events: int = Field(ge=0)
    trials: int = Field(ge=0)
    estimate: float | None = None
    low: float | None = None
    high: float | None = None


class OperatingPoint(_Record):
    """What a contrast's threshold did on `calibrate`, first film per patient.

    Attributes
    ----------
    sensitivity : ProportionRecord
        Positives at or above `high`.
    specificity : ProportionRecord
        Negatives below `low` (with one threshold: those not called positive).
    right_above, right_below : ProportionRecord
        Of the films at or above `high`, those that are positive (PPV); of those below `low`, those that are negative
        (NPV).
    indeterminate : ProportionRecord
        Films from `low` to below `high`.
    """

    sensitivity: ProportionRecord
    specificity: ProportionRecord
    right_above: ProportionRecord
    right_below: ProportionRecord
    indeterminate: ProportionRecord


class Conformal(_Record):
    """Class-conditional conformal prediction sets.

    Attributes
    ----------
    coverage : float
        Share of films aimed at whose true class is in the set, class by class.
    quantiles : dict of class to float
        A class is in the set when 1 - p(class) is at most its quantile; 1 puts it in every set.
    patients : dict of class to int
        Patients, one film each, that the quantile rests on.
    guaranteed : dict of class to bool
        Whether there were enough patients, 59 for 95 %: see `carina.inference.calibrate.least_patients`.
    """

    coverage: float = Field(gt=0, lt=1)
    quantiles: dict[str, float]
    patients: dict[str, int]
    guaranteed: dict[str, bool]


class Calibration(_Record):
    """What was measured on the `calibrate` films of one model.

    Attributes
    ----------
    model_sha256 : str
        Of the model file that gave the logits; the calibration is refused with another.
    temperature : dict of level to float
        ``"root"`` and each group with at least two classes.
    unshown : dict of level to Unshown
        Levels at which no source shows all parts, and the bound that their evidence is held within.
    class_mix : dict of class to float
        Shares of the classes among the `calibrate` patients' films; the probabilities belong to it.
    thresholds : dict of contrast to ThresholdRecord
    operating_points : dict of contrast to OperatingPoint
    operating_points_by_source : dict of source to dict of contrast to OperatingPoint
        The same thresholds within each source, where sources were named: pooled figures hide what differs between them.
    conformal : Conformal
    table_sha256 : str
        Of the film table.
    films, patients : int
        Number of `calibrate` films and of their patients.
    """

    model_sha256: str
    temperature: dict[str, float]
    unshown: dict[str, Unshown] = Field(default_factory=dict)
    class_mix: dict[str, float]
    thresholds: dict[str, ThresholdRecord]
    operating_points: dict[str, OperatingPoint] = Field(default_factory=dict)
    operating_points_by_source: dict[str, dict[str, OperatingPoint]] = Field(default_factory=dict)
    conformal: Conformal
    table_sha256: str
    films: int = Field(ge=1)
    patients: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if ROOT not in self.temperature or not all(value > 0 for value in self.temperature.values()):
            raise ValueError("temperatures must be positive, one of them for 'root'")
        return self

    def to_dict(self) -> dict[str, Any]:
        """As JSON, the ``calibration`` of ``bundle.json``."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Read back what `to_dict` wrote.

        Raises
        ------
        CalibrationError
            If it is not a calibration; the message names the first thing wrong.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "calibration"
            raise CalibrationError(f"the bundle's calibration is not valid: {place}: {first['msg']}") from error

    def check_fits(self, task: Task, model_sha256: str) -> None:
        """Refuse another model's or another task's calibration.

        Raises
        ------
        CalibrationError
        """
        if self.model_sha256 != model_sha256:
            raise CalibrationError(
                f"thresholds belong to one model; these were set for model {self.model_sha256[:12]}, not for "
                f"{model_sha256[:12]}; run `carina calibrate` with this bundle"
            )
        wanted = set(task.classes)
        for name, found in (("class_mix", self.class_mix), ("conformal.quantiles", self.conformal.quantiles)):
            if set(found) != wanted:
                raise CalibrationError(
                    f"the calibration's {name} must have the classes of task {task.name!r}, {sorted(wanted)!r}; "
                    f"found {sorted(found)!r}"
                )
        if unknown := set(self.thresholds) - set(task.contrasts):
            raise CalibrationError(f"the calibration has thresholds for unknown contrasts {sorted(unknown)!r}")
        if missing := set(levels(task)) - set(self.temperature):
            raise CalibrationError(f"the calibration has no temperature for {sorted(missing)!r}")
        for level, told in self.unshown.items():
            if level not in levels(task) or not told.fits(level_units(task)[level]):
                raise CalibrationError(
                    f"the calibration's parts of {level!r} must be the units of that level, once each"
                )

    def decision_thresholds(self) -> dict[str, Threshold]:
        """As `carina.tasks.decide` takes them."""
        return {
            name: Threshold(low=record.low, high=record.high, ages=record.ages)
            for name, record in self.thresholds.items()
        }


def root_units(task: Task) -> dict[str, tuple[int, ...]]:
    """Units told apart at the root: each group and each ungrouped class, with its class numbers.

    Examples
    --------
    >>> from carina.tasks import default_task
    >>> root_units(default_task())
    {'normal': (0,), 'pneumonia': (1, 2, 3)}
    """
    group_of = {member: group for group, members in task.groups.items() for member in members}
    units: dict[str, list[int]] = {}
    for number, name in enumerate(task.classes):
        units.setdefault(group_of.get(name, name), []).append(number)
    return {name: tuple(numbers) for name, numbers in units.items()}


def level_units(task: Task) -> dict[str, tuple[str, ...]]:
    """Units of each level: groups and ungrouped classes at the root, classes in a group."""
    return {ROOT: tuple(root_units(task)), **{name: tuple(members) for name, members in task.groups.items()}}


def levels(task: Task) -> tuple[str, ...]:
    """Levels with a temperature: the root, if it has two units, and each group of at least two classes.

    The root is always named; with a single unit its temperature does nothing and is 1.
    """
    return (ROOT, *(name for name, members in task.groups.items() if len(members) > 1))


def calibrated_probabilities(
    logits: NDArray[np.floating[Any]],
    task: Task,
    calibration: Calibration | Mapping[str, float] | None = None,
    unshown: Mapping[str, Unshown] | None = None,
) -> NDArray[np.float64]:
    """Class probabilities of a network's logits.

    With groups: P(class) = P(unit) x P(class | unit). P(unit) is the softmax, at temperature ``"root"``, over the units
    (a group's logit is the logsumexp of its classes'); P(class | group) is the softmax within the group, at its own.
    At temperature 1 this equals the plain softmax over all classes. Between parts of a level that no source shows side
    by side the evidence is then held within a likelihood ratio (`carina.inference.unshown`).

    Parameters
    ----------
    logits : ndarray, (B, K)
    task : Task
    calibration : Calibration or mapping of level to temperature, optional
        Without it, or for a level it lacks, the temperature is 1.
    unshown : mapping of level to Unshown, optional
        Taken from the calibration where one is given whole.

    Returns
    -------
    ndarray of float64, (B, K)
        Rows sum to 1.

    Raises
    ------
    CalibrationError
        If the logits are not finite or their last axis is not the task's classes.

    References
    ----------
    C. Guo et al., On calibration of modern neural networks, ICML 2017, arXiv:1706.04599, section 4.2.

    Examples
    --------
    >>> from carina.tasks import default_task
    >>> calibrated_probabilities(np.zeros((1, 4)), default_task()).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(task.classes):  # noqa: PLR2004 - the axes B and K
        raise CalibrationError(f"logits must have the shape (B, {len(task.classes)}); found {values.shape!r}")
    if not np.isfinite(values).all():
        raise CalibrationError("logits must be finite; the network gave NaN or infinity")
    if isinstance(calibration, Calibration):
        unshown, calibration = calibration.unshown, calibration.temperature
    temperature, unshown = calibration or {}, unshown or {}
    units = root_units(task)
    roots = np.stack([np.logaddexp.reduce(values[:, numbers], axis=1) for numbers in units.values()], axis=1)
    log_units = _log_softmax(roots / temperature.get(ROOT, 1.0))
    if ROOT in unshown:
        log_units = held_within(log_units, list(units), unshown[ROOT])
    result = np.zeros_like(values)
    for column, (name, numbers) in enumerate(units.items()):
        within = _log_softmax(values[:, numbers] / temperature.get(name, 1.0))
        if name in unshown:
            within = held_within(within, [task.classes[number] for number in numbers], unshown[name])
        result[:, numbers] = np.exp(log_units[:, [column]] + within)
    return result


def prior_shift(
    probabilities: NDArray[np.floating[Any]],
    class_mix: Mapping[str, float],
    prevalence: Mapping[str, float],
    task: Task,
) -> NDArray[np.float64]:
    """Move probabilities from the class mix they were calibrated on to another prevalence (M4).

    Right where only the mix of the classes differs, not how a class looks: each probability is multiplied by the ratio
    of the shares and the rows are normalised again. Thresholds, operating points and prediction sets stay as they were
    set, on the probabilities of the calibrated mix.

    Parameters
    ----------
    probabilities : ndarray, (..., K)
    class_mix, prevalence : mapping of class to float
        Shares, each summing to 1; the first is `Calibration.class_mix`.
    task : Task

    Returns
    -------
    ndarray of float64, (..., K)

    Raises
    ------
    CalibrationError
        If the prevalence does not name every class once with shares summing to 1, or names a class that the calibration
        never saw.

    References
    ----------
    M. Saerens et al., Neural Computation 14 (2002) 21-41, doi:10.1162/089976602753284446.

    Examples
    --------
    >>> from carina.tasks import default_task
    >>> even = dict.fromkeys(default_task().classes, 0.25)
    >>> rare = {"normal": 0.7, "bacterial": 0.1, "viral": 0.1, "covid19": 0.1}
    >>> prior_shift(np.array([0.25, 0.25, 0.25, 0.25]), even, rare, default_task()).round(3).tolist()
    [0.7, 0.1, 0.1, 0.1]
    """
    for name, mix in (("prevalence", prevalence), ("class mix", class_mix)):
        sound = set(mix) == set(task.classes) and all(share >= 0 for share in mix.values())
        if not sound or abs(sum(mix.values()) - 1.0) > _MIX_TOLERANCE:
            raise CalibrationError(
                f"a {name} must give each of {', '.join(task.classes)} a share, summing to 1; found {dict(mix)!r}"
            )
    new = np.array([prevalence[name] for name in task.classes])
    old = np.array([class_mix[name] for name in task.classes])
    if unseen := [name for name, share, was in zip(task.classes, new, old, strict=True) if share > 0 and was <= 0]:
        raise CalibrationError(f"no film of {unseen!r} was in the calibration, so its prevalence cannot be changed")
    ratio = np.divide(new, old, out=np.zeros_like(new), where=old > 0)
    moved = np.asarray(probabilities, dtype=np.float64) * ratio
    total = moved.sum(axis=-1, keepdims=True)
    if (total <= 0).any():
        raise CalibrationError("the prevalence leaves a film no class: all classes it could be have the share 0")
    return np.asarray(moved / total)


def prediction_set(probabilities: NDArray[np.floating[Any]], calibration: Calibration, task: Task) -> tuple[str, ...]:
    """Classes that cannot be ruled out for one film, at the calibration's coverage, class by class.

    A class is in the set when 1 - p(class) is at most its quantile. On films that are exchangeable with the calibration
    films of their class, the true class is in the set at least `coverage` of the time; nothing is claimed for an unseen
    hospital. The set may be empty: such a film is unlike the calibration films of every class, and saying so is the
    legitimate answer; it is not filled up.

    Parameters
    ----------
    probabilities : ndarray, (K,)
        Calibrated, of the calibrated class mix (before `prior_shift`).
    calibration : Calibration
    task : Task

    Returns
    -------
    tuple of str
        In the task's order.

    References
    ----------
    V. Vovk, Conditional validity of inductive conformal predictors, Machine Learning 92 (2013) 349-376,
    doi:10.1007/s10994-013-5355-6, label-conditional predictors.
    """
    quantiles = calibration.conformal.quantiles
    return tuple(
        name
        for name, probability in zip(task.classes, np.asarray(probabilities, dtype=np.float64), strict=True)
        if 1.0 - probability <= quantiles[name]
    )


def _log_softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row by row; SciPy's would add a good part of a second to the start of a prediction."""
    return np.asarray(values - np.logaddexp.reduce(values, axis=1, keepdims=True))
