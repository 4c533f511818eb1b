"""Task files: the classes of a problem and everything that follows from them, as data (M2, M37)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from carina.errors import TaskError
from carina.tasks.inputs import InputKind, input_kinds
from carina.tasks.label_column import LabelColumn

__all__ = ["Contrast", "DecisionRule", "Task", "default_task", "load_task", "task_from_dict"]

_EPSILON = 1e-12


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Contrast(_Model):
    """Two disjoint sets of classes, told apart given that one of them holds.

    Attributes
    ----------
    positive, negative : tuple of str
        Class names. The probability is sum(positive) / sum(positive + negative).
    age_bound : bool
        Whether a decision from it is refused outside the ages that trained it, unknown age included (M2).
    """

    positive: tuple[str, ...] = Field(min_length=1)
    negative: tuple[str, ...] = Field(min_length=1)
    age_bound: bool = False


class DecisionRule(_Model):
    """One step of the decision.

    Attributes
    ----------
    contrast : str
        Name of the contrast it reads.
    above, below : str or None
        What is decided at or above the upper, and below the lower, threshold; `None` passes on to the next rule.
    specificity : float or None
        Operating point aimed at on `calibrate`, in (0, 1); gives one threshold.
    band : float or None
        Least share right outside an indeterminate band, in (0.5, 1); gives two thresholds.
    """

    contrast: str
    above: str | None = None
    below: str | None = None
    specificity: float | None = Field(None, gt=0, lt=1)
    band: float | None = Field(None, gt=0.5, lt=1)

    @model_validator(mode="after")
    def _speaks(self) -> DecisionRule:
        if self.above is None and self.below is None:
            raise ValueError("a decision rule must say something `above` or `below` its threshold")
        if (self.specificity is None) == (self.band is None):
            raise ValueError("a decision rule takes exactly one of `specificity` and `band`")
        return self


class _DecisionTable(_Model):
    otherwise: str
    rules: tuple[DecisionRule, ...] = ()


class Task(_Model):
    """A diagnostic problem.

    Attributes
    ----------
    name : str
    version : int
    input : str
        Kind of input, such as ``"chest_radiograph"`` or ``"ct_slice"``; one that ships (`input_kinds`), or a name of
        one's own beside `input_rules`.
    input_rules : InputKind or None
        What applies to an input of one's own.
    labels : LabelColumn or None
        Where the label of a film stands, if not in the column ``label``.
    classes : tuple of str
        At least two, in the order of every probability array's last axis.
    groups : dict of str to tuple of str
        Disjoint sets of classes that share a parent; a hierarchical head first tells groups (and ungrouped classes),
        then the classes within each group.
    label_sets : dict of str to tuple of str
        Labels that stand for several classes.
    contrasts : dict of str to Contrast
    decision : table of rules
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    input: str
    classes: tuple[str, ...] = Field(min_length=2)
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    label_sets: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    contrasts: dict[str, Contrast] = Field(default_factory=dict)
    decision: _DecisionTable
    input_rules: InputKind | None = None
    labels: LabelColumn | None = None

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what the task does not say, so that a task written before these keys reads as it always did."""
        values: dict[str, Any] = handler(self)
        return {name: value for name, value in values.items() if value is not None}

    @model_validator(mode="after")
    def _is_consistent(self) -> Task:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes must differ, found {self.classes!r}")
        for name, members in self._named_sets():
            if unknown := set(members) - set(self.classes):
                raise ValueError(f"{name!r} names classes the task does not have: {sorted(unknown)!r}")
        for name, contrast in self.contrasts.items():
            if set(contrast.positive) & set(contrast.negative):
                raise ValueError(f"contrast {name!r} has a class on both sides")
        if both := set(self.label_sets) & set(self.classes):
            raise ValueError(f"label sets must not be named as classes: {sorted(both)!r}")
        grouped = [member for members in self.groups.values() for member in members]
        if len(grouped) != len(set(grouped)):
            raise ValueError("groups must not share a class")
        if unread := {rule.contrast for rule in self.decision.rules} - set(self.contrasts):
            raise ValueError(f"a decision rule reads contrasts that the task does not have: {sorted(unread)!r}")
        self._check_input_and_labels()
        return self

    def _check_input_and_labels(self) -> None:
        known = input_kinds()
        if self.input in known and self.input_rules is not None:
            raise ValueError(f"input {self.input!r} has its own rules; give an input of one's own another name")
        if self.input not in known and self.input_rules is None:
            raise ValueError(
                f"input must be one of {', '.join(known)}, or [input_rules] must say what applies to it; "
                f"found {self.input!r}"
            )
        given = self.labels.labels if self.labels is not None else ()
        if unknown := [label for label in given if label not in self.classes and label not in self.label_sets]:
            raise ValueError(f"[labels] gives labels that the task does not have: {unknown!r}")

    def _named_sets(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield from self.groups.items()
        yield from self.label_sets.items()
        for name, contrast in self.contrasts.items():
            yield f"{name}.positive", contrast.positive
            yield f"{name}.negative", contrast.negative

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.classes)}

    @property
    def kind(self) -> InputKind:
        """What applies to the task's pictures."""
        return self.input_rules if self.input_rules is not None else input_kinds()[self.input]

    def knows(self, label: str) -> bool:
        """Whether `label` is a class or a label set of the task."""
        return label in self._index or label in self.label_sets

    def members(self, label: str) -> tuple[str, ...]:
        """Classes that a label stands for.

        Raises
        ------
        TaskError
            If the label is outside the task.

        Examples
        --------
        >>> default_task().members("pneumonia_non_covid19")
        ('bacterial', 'viral')
        """
        if label in self._index:
            return (label,)
        if label in self.label_sets:
            return self.label_sets[label]
        raise TaskError(
            f"label {label!r} is outside task {self.name!r}; it knows {sorted((*self.classes, *self.label_sets))!r}"
        )

    def targets(self, labels: Sequence[str]) -> NDArray[np.bool_]:
        """Label membership.

        Returns
        -------
        ndarray of bool, (B, K)
            True where the class is one the label stands for.
        """
        result = np.zeros((len(labels), len(self.classes)), dtype=np.bool_)
        for row, label in enumerate(labels):
            result[row, [self._index[name] for name in self.members(label)]] = True
        return result

    def sides(self, contrast: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Class indices of a contrast's positive and negative side."""
        chosen = self.contrasts[contrast]
        return (
            np.array([self._index[name] for name in chosen.positive], dtype=np.intp),
            np.array([self._index[name] for name in chosen.negative], dtype=np.intp),
        )

    def contrast_probability(self, contrast: str, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Probability of a contrast's positive side, given that one of its sides holds.

        Parameters
        ----------
        contrast : str
        probabilities : ndarray, (..., K)
            Class probabilities, each row summing to one.

        Returns
        -------
        ndarray of float64, (...)
            In [0, 1]; 0.5 where both sides have no mass at all.

        Examples
        --------
        >>> task = default_task()
        >>> round(float(task.contrast_probability("covid19_given_pneumonia", np.array([0.5, 0.2, 0.1, 0.2]))), 3)
        0.4
        """
        positive, negative = self.sides(contrast)
        values = np.asarray(probabilities, dtype=np.float64)
        up, down = values[..., positive].sum(-1), values[..., negative].sum(-1)
        total = up + down
        return np.asarray(np.where(total > _EPSILON, up / np.maximum(total, _EPSILON), 0.5))

    def contrast_truth(self, contrast: str, labels: Sequence[str]) -> NDArray[np.float64]:
        """Which side of a contrast each label decides.

        Returns
        -------
        ndarray of float64, (B,)
            1 positive, 0 negative, NaN where the label does not decide or lies outside the contrast.
        """
        chosen = self.contrasts[contrast]
        positive, negative = set(chosen.positive), set(chosen.negative)
        result = np.full(len(labels), np.nan)
        for row, label in enumerate(labels):
            members = set(self.members(label))
            if members <= positive:
                result[row] = 1.0
            elif members <= negative:
                result[row] = 0.0
        return result


def task_from_dict(values: Mapping[str, Any], origin: str = "task") -> Task:
    """Build a task from parsed TOML or JSON.

    Raises
    ------
    TaskError
        If it does not describe a task; the message names the first thing wrong.
    """
    try:
        return Task.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the task"
        raise TaskError(f"{origin} does not describe a task: {place}: {first['msg']}") from error


def load_task(path: Path) -> Task:
    """Read a task file (TOML).

    Raises
    ------
    TaskError
        If the file cannot be read or does not describe a task.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TaskError(f"a task file must be readable TOML; {str(path)!r} is not: {error}") from error
    return task_from_dict(values, origin=str(path))


def default_task() -> Task:
    """Four classes of pneumonia on the admission film (M2)."""
    text = files("carina.tasks").joinpath("pneumonia.toml").read_text(encoding="utf-8")
    return task_from_dict(tomllib.loads(text), origin="the packaged task")
