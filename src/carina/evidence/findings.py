"""What the figures say, in sentences that claim no more than their intervals (M3)."""

from __future__ import annotations

from dataclasses import dataclass

from carina.evidence.estimates import Estimate
from carina.evidence.explain import Explanation
from carina.evidence.summary import BY_CONSTRUCTION

__all__ = ["Finding", "findings"]

_STABLE, _WEAK = 0.8, 0.3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    subject : str
        Of what, in a few words.
    sentence : str
    verdict : str
        ``"for"`` or ``"against"`` the claim that the decision rests on relevant parts, or ``"open"``: the films do not
        settle it.
    """

    subject: str
    sentence: str
    verdict: str


def findings(explanation: Explanation) -> tuple[Finding, ...]:
    """Say what was found.

    Parameters
    ----------
    explanation : Explanation

    Returns
    -------
    tuple of Finding
        Only of what was measured.
    """
    made = [
        _lungs(explanation),
        _occlusion(explanation),
        _pointing(explanation),
        _order(explanation, "deletion", "falls", good_below=True),
        _order(explanation, "insertion", "rises", good_below=False),
        _weights(explanation),
        _agreement(explanation),
        _stability(explanation),
    ]
    return tuple(one for one in made if one is not None)


def _lungs(explanation: Explanation) -> Finding | None:
    subject = "Lungs"
    if explanation.framing == "lung_masked":
        return Finding(
            subject, f"The share of the class map inside the lungs is no finding: {BY_CONSTRUCTION}.", "open"
        )
    share, ratio = _get(explanation, "lung_share", "sample"), _get(explanation, "lung_enrichment", "sample")
    area, reference = _get(explanation, "lung_area", "sample"), _get(explanation, "lung_reference", "sample")
    if share is None or ratio is None or area is None or reference is None:
        return Finding(subject, "No film of the sample had lungs to measure against.", "open")
    inside, outside = _percent(share.estimate), _percent(1.0 - (share.estimate or 0.0))
    verdict = _side(ratio, 1.0, good_below=False)
    words = {
        "for": "more than a map that points nowhere",
        "against": "less than a map that points nowhere: it avoids the lungs",
        "open": "not told apart from a map that points nowhere",
    }[verdict]
    sentence = (
        f"{inside} of the class map's mass lies inside the lung fields {_interval(share, percent=True)}, {outside} "
        f"outside. The fields cover {_percent(area.estimate)} of what the network sees, so that is "
        f"{ratio.estimate:.2f} times their share {_interval(ratio)}: {words}. A map of this grid that follows the "
        f"fields' shape would put {_percent(reference.estimate)} inside."
    )
    rest = _get(explanation, "lung_enrichment_without_heart", "sample")
    if rest is not None:
        sentence += f" Without the estimated heart: {rest.estimate:.2f} times {_interval(rest)}."
    agreed = _get(explanation, "lung_enrichment", "agreed")
    if agreed is not None:
        sentence += (
            f" On the {agreed.films} films that the model calls what the label says: {agreed.estimate:.2f} times "
            f"{_interval(agreed)}."
        )
    return Finding(subject, sentence, verdict)


def _occlusion(explanation: Explanation) -> Finding | None:
    ratio, share = _get(explanation, "occlusion_lung_enrichment"), _get(explanation, "occlusion_lung_share")
    if ratio is None or share is None or explanation.framing == "lung_masked":
        return None
    verdict = _side(ratio, 1.0, good_below=False)
    words = {"for": "more than", "against": "less than", "open": "not told apart from"}[verdict]
    sentence = (
        f"Covering the film patch by patch, {_percent(share.estimate)} of the loss of log-odds lies inside the lung "
        f"fields, {ratio.estimate:.2f} times their share of the picture {_interval(ratio)}: {words} chance. "
        "This needs no class map."
    )
    return Finding("Occlusion", sentence, verdict)


def _pointing(explanation: Explanation) -> Finding | None:
    hit = _get(explanation, "pointing", "boxes")
    if hit is None:
        return None
    area, average = _get(explanation, "box_area", "boxes"), _get(explanation, "pointing_average_box", "boxes")
    sentence = (
        f"The class map's maximum lies in a reader's box on {_percent(hit.estimate)} of {hit.films} films "
        f"{_interval(hit, percent=True)}"
    )
    if area is not None:
        sentence += f"; a point chosen blindly would on {_percent(area.estimate)}"
    if average is not None:
        sentence += (
            f", the centre of the other patients' average box on {_percent(average.estimate)} "
            f"{_interval(average, percent=True)}"
        )
    centres = _get(explanation, "pointing_lung_centres", "boxes")
    if centres is not None:
        sentence += f", the lungs' centres on {_percent(centres.estimate)}"
    sentence, sides = f"{sentence}.", []
    for name, word in (("lung_centres", "the lungs' centres"), ("average_box", "the average box")):
        less = _get(explanation, f"pointing_less_{name}", "boxes")
        if less is not None:
            sides.append(_side(less, 0.0, good_below=False))
            points = f"{100 * (less.estimate or 0.0):+.0f} points {_interval(less, percent=True)}"
            sentence += f" The class map less {word}: {points}."
    verdict = "against" if "against" in sides else "for" if sides and set(sides) == {"for"} else "open"
    return Finding("Boxes", sentence, verdict)


def _order(explanation: Explanation, kind: str, moves: str, *, good_below: bool) -> Finding | None:
    own, chance = _get(explanation, kind), _get(explanation, f"{kind}_random")
    less = _get(explanation, f"{kind}_less_random")
    if own is None or chance is None or less is None:
        return None
    verdict = _side(less, 0.0, good_below=good_below)
    words = {
        "for": f"the probability {moves} sooner in the map's order",
        "against": f"the probability {moves} later in the map's order",
        "open": "the films do not tell the two apart",
    }[verdict]
    sentence = (
        f"Area under the {kind} curve {own.estimate:.3f}, for a random map {chance.estimate:.3f}; difference "
        f"{less.estimate:+.3f} {_interval(less)}: {words}."
    )
    centres = _get(explanation, f"{kind}_less_lung_centres")
    if centres is not None:
        sentence += f" Against nearness to the lungs' centres: {centres.estimate:+.3f} {_interval(centres)}."
        if verdict == "for" and _side(centres, 0.0, good_below=good_below) != "for":
            sentence += " That the map knows more than where the lungs are is not shown."
            verdict = "open"
    return Finding(kind.capitalize(), sentence, verdict)


def _weights(explanation: Explanation) -> Finding | None:
    alike, floor = _get(explanation, "shuffled_100_correlation"), _get(explanation, "other_film_correlation")
    if alike is None:
        return None
    sentence = (
        "With all weights shuffled, the map's rank correlation with the real one is "
        f"{alike.estimate:.2f} {_interval(alike)}"
    )
    if floor is None:
        return Finding("Weights", f"{sentence}.", "open")
    sentence += f"; two films of different patients have {floor.estimate:.2f} {_interval(floor)}. "
    if alike.high is not None and alike.high < 0.5:  # noqa: PLR2004 - half of what equal maps have
        return Finding("Weights", sentence + "The map shows what was learned, not only the film.", "for")
    if alike.low is not None and alike.low > 0.5:  # noqa: PLR2004 - as above
        return Finding(
            "Weights", sentence + "The map stays though nothing learned is left: do not believe it.", "against"
        )
    return Finding("Weights", sentence + "The films do not settle whether the map depends on what was learned.", "open")


def _agreement(explanation: Explanation) -> Finding | None:
    agree = _get(explanation, "occlusion_correlation")
    if agree is None:
        return None
    verdict = _side(agree, 0.0, good_below=False)
    if verdict == "for" and (agree.estimate or 0.0) < _WEAK:
        verdict = "weak"
    words = {
        "for": "the map agrees with what the network loses",
        "weak": "the map hardly agrees with what the network loses",
        "against": "the map contradicts what the network loses",
        "open": "the films do not show that the map agrees with what the network loses",
    }[verdict]
    sentence = (
        f"Rank correlation of the class map with the occlusion map {agree.estimate:.2f} {_interval(agree)}: {words}."
    )
    return Finding("Class map and occlusion", sentence, "open" if verdict == "weak" else verdict)


def _stability(explanation: Explanation) -> Finding | None:
    shift, noise = _get(explanation, "shift_correlation"), _get(explanation, "noise_correlation")
    change = _get(explanation, "shift_change")
    if shift is None or noise is None or change is None:
        return None
    lows = [one.low for one in (shift, noise)]
    highs = [one.high for one in (shift, noise)]
    steady = all(low is not None and low >= _STABLE for low in lows)
    shaky = any(high is not None and high < _STABLE for high in highs)
    sentence = (
        f"Shifted by 4 % of its side, the film's map correlates {shift.estimate:.2f} {_interval(shift)} with the map "
        f"before, and with a little noise {noise.estimate:.2f} {_interval(noise)}; the probability moves by "
        f"{change.estimate:.3f} on average under the shifts."
    )
    return Finding("Stability", sentence, "for" if steady else "against" if shaky else "open")


def _get(explanation: Explanation, measure: str, group: str = "costly") -> Estimate | None:
    found = explanation.find(measure, group)
    return None if found is None or found.estimate.estimate is None else found.estimate


def _side(estimate: Estimate, line: float, *, good_below: bool) -> str:
    """Which side of a line the whole interval lies on."""
    if estimate.low is None or estimate.high is None or estimate.low <= line <= estimate.high:
        return "open"
    return "for" if (estimate.high < line) == good_below else "against"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _interval(estimate: Estimate, *, percent: bool = False) -> str:
    if estimate.low is None or estimate.high is None:
        return "(interval not estimable)"
    if percent:
        return f"({100 * estimate.low:.0f} to {100 * estimate.high:.0f} %)"
    return f"({estimate.low:.2f} to {estimate.high:.2f})"
