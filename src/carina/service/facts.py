"""What must be told of a model beside each of its results: thresholds, what they did, and the audit's verdicts.

They are kept with the result when the film is read, so that what is said of it later is of the model that read it,
whatever model reads by then.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from carina.archive import DeskResult, Study
from carina.inference import Bundle

__all__ = ["NOT_AUDITED", "ModelFacts", "ThresholdFacts", "audit_verdicts", "facts_of", "keep_facts"]

NOT_AUDITED: Final = "not audited"
_HEADING: Final = "## Shortcut audit"
_ROW: Final = re.compile(r"^\| ([a-z0-9_]+) \| \*\*(supported|not supported|not shown)\*\* \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ThresholdFacts:
    """Threshold of a contrast, and what it did on the films it was chosen on.

    Attributes
    ----------
    low, high : float
        Below `low` no, from `high` on yes, in between indeterminate; in [0, 1].
    sensitivity, specificity : float or None
    """

    low: float
    high: float
    sensitivity: float | None = None
    specificity: float | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model as its results speak of it.

    Attributes
    ----------
    name, version : str
    model_sha256 : str
        Of the network's file.
    classes : tuple of str
        In the order of the class maps.
    thresholds : dict of contrast to ThresholdFacts
    verdicts : dict of contrast to str
        Of the shortcut audit in the model's card (M36): ``"supported"``, ``"not supported"``, ``"not shown"``; empty
        where the model was not audited.
    """

    name: str
    version: str
    model_sha256: str
    classes: tuple[str, ...]
    thresholds: dict[str, ThresholdFacts] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """Collect them from a bundle."""
        thresholds = {}
        if bundle.calibration is not None:
            points = bundle.calibration.operating_points
            for name, each in bundle.calibration.thresholds.items():
                point = points.get(name)
                told = (None, None) if point is None else (point.sensitivity.estimate, point.specificity.estimate)
                thresholds[name] = ThresholdFacts(each.low, each.high, *told)
        return cls(
            name=bundle.name,
            version=bundle.version,
            model_sha256=bundle.model_sha256,
            classes=bundle.task.classes,
            thresholds=thresholds,
            verdicts=audit_verdicts(bundle.card),
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        thresholds = {name: ThresholdFacts(**each) for name, each in values["thresholds"].items()}
        return cls(**{**values, "classes": tuple(values["classes"]), "thresholds": thresholds})

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def verdict(self, contrast: str) -> str:
        """Verdict of the audit on a contrast, ``"not audited"`` where there is none."""
        return self.verdicts.get(contrast, NOT_AUDITED)

    def sentences(self) -> list[str]:
        """Thresholds and verdicts in words, one sentence a contrast; at least one.

        Examples
        --------
        >>> facts = ModelFacts("m", "1", "0" * 64, ("normal", "viral"), {"pneumonia": ThresholdFacts(0.4, 0.4, 0.9)})
        >>> facts.sentences()
        ['pneumonia: threshold 0.40 (sensitivity 0.90 where it was chosen); shortcut audit: not audited']
        """
        said = []
        for name in dict.fromkeys((*self.thresholds, *self.verdicts)):
            each = self.thresholds.get(name)
            limit = "no threshold" if each is None else _limit(each)
            said.append(f"{name.replace('_', ' ')}: {limit}; shortcut audit: {self.verdict(name)}")
        return said or ["no threshold; shortcut audit: not audited"]


def keep_facts(study: Study, facts: ModelFacts) -> str:
    """Put them into the study's store; the place is one and the same for one model."""
    data = json.dumps(facts.to_dict(), ensure_ascii=False, sort_keys=True, allow_nan=False).encode()
    return study.store.put(data, folder="models", suffix=".json").path


def facts_of(study: Study, result: DeskResult) -> ModelFacts | None:
    """Facts of the model that gave a result; None where they were not kept with it."""
    path = result.files.get("model")
    return None if path is None else ModelFacts.from_dict(json.loads(study.store.read(path)))


def audit_verdicts(card: str) -> dict[str, str]:
    r"""Read the audit's verdicts from a model card.

    Parameters
    ----------
    card : str
        Markdown; the section is written by `carina audit --card`.

    Returns
    -------
    dict of contrast to str
        Empty where the card has no such section.

    Examples
    --------
    >>> audit_verdicts("# m\n\n## Shortcut audit\n\n| pneumonia | **not supported** | 0.98 |\n")
    {'pneumonia': 'not supported'}
    """
    section = card.partition(f"\n{_HEADING}\n")[2].partition("\n## ")[0]
    return {found[1]: found[2] for found in _ROW.finditer(section)}


def _limit(each: ThresholdFacts) -> str:
    said = f"threshold {each.high:.2f}"
    if each.low < each.high:
        said = f"threshold {each.high:.2f}, indeterminate from {each.low:.2f}"
    shares = {"sensitivity": each.sensitivity, "specificity": each.specificity}
    known = [f"{name} {value:.2f}" for name, value in shares.items() if value is not None]
    return f"{said} ({', '.join(known)} where it was chosen)" if known else said
