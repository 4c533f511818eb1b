"""Which class mix probabilities are asked for (M4)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from carina.errors import SettingsError
from carina.inference.bundle import Bundle

__all__ = ["complete_prevalence", "parse_prevalence"]

_MIX_TOLERANCE = 1e-3


def parse_prevalence(text: str) -> dict[str, float]:
    """Shares of classes from ``covid19=0.05,normal=0.6``, or from a TOML or JSON file of such a table.

    Raises
    ------
    SettingsError
        If it is neither.

    Examples
    --------
    >>> parse_prevalence("covid19=0.05, normal=0.6")
    {'covid19': 0.05, 'normal': 0.6}
    """
    wrong = f"a prevalence is written class=share,class=share or is a TOML or JSON file of shares; found {text!r}"
    try:
        if "=" in text:
            pairs = [part.split("=", 1) for part in text.split(",") if part.strip()]
            names = [name.strip() for name, _ in pairs]
            if len(set(names)) != len(names):
                raise SettingsError(f"a prevalence names a class once; found {text!r}")
            return {name: float(share) for name, (_, share) in zip(names, pairs, strict=True)}
        content = Path(text).read_text(encoding="utf-8")
        values = json.loads(content) if content.lstrip().startswith("{") else tomllib.loads(content)
        return {str(name): float(share) for name, share in values.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SettingsError(wrong) from error


def complete_prevalence(bundle: Bundle, prevalence: Mapping[str, float]) -> dict[str, float]:
    """Shares of all classes from those given; the rest is divided as in the bundle's class mix.

    Parameters
    ----------
    bundle : Bundle
    prevalence : mapping of class to float
        Shares in [0, 1] of all classes, summing to 1, or of some, summing to at most 1.

    Returns
    -------
    dict of class to float
        In the task's order, summing to 1.

    Raises
    ------
    SettingsError
        If a class is not the task's, the shares are no shares, or the bundle is not calibrated.
    """
    classes = bundle.task.classes
    calibration = bundle.calibration
    if calibration is None:
        raise SettingsError(
            "a prevalence corrects a calibrated class mix, and this bundle has none; calibrate it first"
        )
    if unknown := sorted(set(prevalence) - set(classes)):
        raise SettingsError(f"a prevalence names classes of the task, {', '.join(classes)}; found {unknown!r}")
    if absent := sorted(name for name, share in prevalence.items() if share > 0 and calibration.class_mix[name] <= 0):
        raise SettingsError(
            f"a probability can be corrected only for classes that the bundle was calibrated on; the calibration films "
            f"have no {', '.join(absent)}: give such a class the share 0"
        )
    total = sum(prevalence.values())
    rest = {name: calibration.class_mix[name] for name in classes if name not in prevalence}
    whole = total if not rest else total + max(0.0, 1.0 - total)
    if any(not 0 <= share <= 1 for share in prevalence.values()) or abs(whole - 1.0) > _MIX_TOLERANCE:
        raise SettingsError(f"the shares of a prevalence lie in [0, 1] and sum to 1, or less for some; found {total:g}")
    mass = sum(rest.values())
    left = max(0.0, 1.0 - total)
    if left > 0 and rest and mass <= 0:
        raise SettingsError(f"the bundle was not calibrated on {', '.join(rest)}; give the other shares a sum of 1")
    shares = {
        name: prevalence[name] if name in prevalence else left * rest[name] / max(mass, 1e-12) for name in classes
    }
    return {name: share / sum(shares.values()) for name, share in shares.items()}
