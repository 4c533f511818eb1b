"""When a signature is shown: criteria fixed before the films were looked at (M27, M36)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scipy.stats import norm

from carina.evidence.signature_effects import Effect
from carina.statistics import Estimate, bonferroni_level

if TYPE_CHECKING:
    from carina.evidence.signature_parts import Part

__all__ = ["ALPHA", "SignatureVerdict", "conclude_signature"]

ALPHA = 0.05
"""Family-wise level over sources, of the permutation test and of the false discovery rate."""

Word = Literal["shown", "not supported", "not shown"]
_CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    """Conclusion on one contrast.

    Attributes
    ----------
    verdict : str
        ``"shown"``: films of one source, taken by the same machines, are told apart. ``"not supported"``: that was
        asked and not found. ``"not shown"``: it cannot be asked of these films.
    because : tuple of str
        Sentences.
    sources : tuple of str
        Sources in which it is shown.
    features : tuple of str
        Stable features that differ within sources at the false discovery rate, the strongest first.
    """

    verdict: Word
    because: tuple[str, ...]
    sources: tuple[str, ...]
    features: tuple[str, ...]


def conclude_signature(
    parts: Sequence[Part],
    effects: Sequence[Effect],
    kept: Sequence[str],
    limits: Sequence[str],
    *,
    level: float = 0.95,
) -> SignatureVerdict:
    """Conclude.

    Parameters
    ----------
    parts : sequence of Part
    effects : sequence of Effect
    kept : sequence of str
        Stable features.
    limits : sequence of str
        Sentences on what could not be asked.
    level : float
        Of the parts' intervals.

    Returns
    -------
    SignatureVerdict
    """
    stable = set(kept)
    features = tuple(
        one.feature
        for one in sorted(effects, key=lambda one: one.within_p if one.within_p is not None else 2.0)
        if one.feature in stable and one.within_q is not None and one.within_q <= ALPHA
    )
    inside = [part for part in parts if part.name.startswith("source=")]
    if not inside:
        return SignatureVerdict("not shown", _cannot(parts, limits), (), ())
    judged = [_holds(part, len(inside), level) for part in inside]
    sentences = [sentence for _, sentence in judged]
    held = [
        part.name.removeprefix("source=") for part, (state, _) in zip(inside, judged, strict=True) if state == "holds"
    ]
    sentences.append(_features_sentence(features, len(stable)))
    sentences += [_travels(part) for part in parts if part.name.startswith("left_out=")]
    if (pooled := next((part for part in parts if part.name == "all"), None)) is not None:
        sentences += _pooled(pooled)
    sentences += limits
    word: Word = "shown" if held and features else "not supported"
    if word != "shown" and features and any(state == "not asked" for state, _ in judged):
        word = "not shown"
    return SignatureVerdict(word, tuple(sentences), tuple(held) if word == "shown" else (), features)


def _holds(part: Part, sources: int, level: float) -> tuple[str, str]:
    """Say whether a source holds, fails or was not asked, and why."""
    name, null = part.name.removeprefix("source="), part.permutation
    area = part.areas["elastic_net"] if "elastic_net" in part.areas else next(iter(part.areas.values()))
    if null is None:
        return "not asked", f"Within {name}: AUC {_interval(area)}; without labels dealt anew nothing is shown."
    family = bonferroni_level(sources, 1.0 - ALPHA)
    low = _lower(area, family, level)
    above = area.value is not None and area.value > _CHANCE and (low is None or low > _CHANCE)
    holds = above and null.p <= ALPHA / sources and _beyond_view(part)
    told = "told apart" if holds else "not told apart better than chance"
    state = "not asked" if part.control is None else "holds" if part.control.adds else "fails"
    state = state if holds else "fails"
    return state, (
        f"Within {name}, {part.films} films of {part.patients} patients are {told}: AUC {_interval(area)}; with labels "
        f"dealt anew {null.repeats} times 19 of 20 searches stay below {null.upper:.3f} (p = {null.p:.3g})."
        f"{_view_words(part)}{_control_words(part)}"
    )


def _beyond_view(part: Part) -> bool:
    """Whether films of one view are told apart too, where there are several."""
    return part.views is None or any(one.low is not None and one.low > _CHANCE for one in part.views.values())


def _control_words(part: Part) -> str:
    control = part.control
    if control is None:
        return " How the films were made was not held against it: give the films."
    gain = _interval(control.gain)
    if control.adds:
        return (
            f" Sharpness, noise and greys outside the lungs alone give {_interval(control.other)}; with texture AUC "
            f"rises by {gain}."
        )
    return (
        f" Sharpness, noise and greys outside the lungs alone give {_interval(control.other)}, and texture does not "
        f"show that it adds to them: {gain}."
    )


def _view_words(part: Part) -> str:
    if part.views is None:
        return ""
    if not part.views:
        return " No view has enough patients on both sides: the view may be all that is seen."
    return (
        " Among films of one view: " + ", ".join(f"{name} {_interval(one)}" for name, one in part.views.items()) + "."
    )


def _lower(area: Estimate, family: float, level: float) -> float | None:
    """Lower limit at the family's level, from that at the estimate's; `None` where it has no width."""
    if area.value is None or area.low is None:
        return None
    stretch = float(norm.ppf(0.5 + family / 2) / norm.ppf(0.5 + level / 2))
    return area.value - stretch * (area.value - area.low)


def _cannot(parts: Sequence[Part], limits: Sequence[str]) -> tuple[str, ...]:
    first = (
        "No source has enough patients on both sides: whatever tells the sides apart may as well tell the hospitals, "
        "their machines or their patients' ages apart."
    )
    return (first, *(one for part in parts if part.name == "all" for one in _pooled(part)), *limits)


def _pooled(part: Part) -> list[str]:
    if part.scope not in {"cross-source", "mixed"} or "elastic_net" not in part.areas:
        return []
    how = "wholly" if part.scope == "cross-source" else "in part"
    area = _interval(part.areas["elastic_net"])
    return [f"Over all {part.films} films the AUC is {area}; it is {how} across sources and no evidence of disease."]


def _features_sentence(features: Sequence[str], stable: int) -> str:
    if not features:
        return f"None of {stable} features differs within sources at a false discovery rate of {ALPHA:g}."
    return (
        f"{len(features)} of {stable} features differ within sources at a false discovery rate of {ALPHA:g}, "
        f"{features[0]} the most."
    )


def _travels(part: Part) -> str:
    area = part.areas.get("elastic_net") or next(iter(part.areas.values()))
    name = part.name.removeprefix("left_out=")
    if area.high is not None and area.high < _CHANCE:
        said = "points the other way"
    else:
        said = "holds" if area.low is not None and area.low > _CHANCE else "does not hold"
    return f"Fitted to the other sources, it {said} in {name}: AUC {_interval(area)}."


def _interval(area: Estimate) -> str:
    if area.value is None:
        return "not estimable"
    if area.low is None or area.high is None:
        return f"{area.value:.3f} (no interval)"
    return f"{area.value:.3f} ({area.low:.3f} to {area.high:.3f})"
