"""The one-minute summary: what the model is, on whom it was judged, what it can and cannot be trusted for.

Every sentence is made from the run and nothing else; page and model card say the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carina.evidence.numbers import Number
from carina.report.evaluation_run import EvaluationRun, factor_of, level_of
from carina.report.page import words

__all__ = ["Headline", "Summary", "sentence_and_probe", "summarise"]

_WORST, _MOST_REASONS = 4, 2
_PROBE = re.compile(r"\s*\[([\w.]+)\]\s*\.?$")


@dataclass(frozen=True, slots=True)
class Headline:
    """A contrast as the summary shows it.

    Attributes
    ----------
    contrast : str
    verdict : str
        ``"supported"``, ``"not supported"`` or ``"not shown"``.
    because : tuple of str
        Sentences of the audit.
    numbers : tuple of Number
        Those meant to be read first: PPV and NPV, else sensitivity and specificity.
    area : Number or None
        AUC.
    within : tuple of Number
        AUC within each source that has films on both sides.
    """

    contrast: str
    verdict: str
    because: tuple[str, ...]
    numbers: tuple[Number, ...]
    area: Number | None
    within: tuple[Number, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """What a clinician reads first.

    Attributes
    ----------
    what, whom : str
        What the model is; on whom it was judged.
    headlines : tuple of Headline
        Contrasts with headline numbers first.
    supported, unsupported, unknown : tuple of str
        What it may be trusted for, what not, and what these films cannot show; a sentence each.
    verdict : str
        Of the audit in a sentence.
    """

    what: str
    whom: str
    headlines: tuple[Headline, ...]
    supported: tuple[str, ...]
    unsupported: tuple[str, ...]
    unknown: tuple[str, ...]
    verdict: str


def summarise(run: EvaluationRun) -> Summary:
    """Put a run into a minute's reading.

    Parameters
    ----------
    run : EvaluationRun

    Returns
    -------
    Summary
    """
    headlines = tuple(_headline(run, contrast) for contrast in run.contrasts)
    by_verdict: dict[str, list[Headline]] = {}
    for one in headlines:
        by_verdict.setdefault(one.verdict, []).append(one)
    return Summary(
        what=_what(run),
        whom=_whom(run),
        headlines=tuple(sorted(headlines, key=lambda one: not any(number.headline for number in one.numbers))),
        supported=tuple(_told(one) for one in by_verdict.get("supported", [])),
        unsupported=(*(_told(one) for one in by_verdict.get("not supported", [])), *_worse(run)),
        unknown=(
            *(_told(one) for one in by_verdict.get("not shown", [])),
            *_not_audited(by_verdict),
            *_unknown(run),
        ),
        verdict=_verdict(run, by_verdict),
    )


def sentence_and_probe(said: str) -> tuple[str, str | None]:
    """Part a reason of the audit from the id of its probe, and let it be a sentence.

    Examples
    --------
    >>> sentence_and_probe("the model's AUC is 0.97 [as_it_is.pneumonia]")
    ("The model's AUC is 0.97.", 'as_it_is.pneumonia')
    """
    found = _PROBE.search(said)
    text = said[: found.start()] if found else said
    text = text[:1].upper() + text[1:]
    return (text if text.endswith((".", "!", "?")) else f"{text}.", found[1] if found else None)


def _headline(run: EvaluationRun, contrast: str) -> Headline:
    own = [number for number in run.headlines if number.contrast == contrast]
    chosen = [number for number in own if number.cell == "all" and number.measure in {"ppv", "npv"}]
    if not chosen:
        chosen = [
            number
            for name in ("sensitivity", "specificity")
            if (number := run.first(contrast=contrast, measure=name, cell="all", group="contrast")) is not None
        ]
    within = [n for n in own if n.measure == "auc" and factor_of(n) == "source" and n.value is not None]
    return Headline(
        contrast,
        run.verdicts[contrast],
        tuple(run.because.get(contrast, ())),
        tuple(chosen),
        run.first(contrast=contrast, measure="auc", cell="all", group="contrast"),
        tuple(within),
    )


def _what(run: EvaluationRun) -> str:
    task: Any = run.metrics.get("task")
    classes = task.get("classes") if isinstance(task, Mapping) else None
    if not classes:
        classes = (run.metrics.get("confusion") or {}).get("classes") or ()
    kinds = [words(str(name)) for name in classes]
    said = f"a probability each for {', '.join(kinds[:-1])} and {kinds[-1]}" if len(kinds) > 1 else "probabilities"
    return f"{run.model_name} reads one film and gives {said}. It knows the pixels alone; the doctor decides."


def _whom(run: EvaluationRun) -> str:
    films: Mapping[str, Any] = run.metrics.get("films") or {}
    table: Mapping[str, Any] = run.metrics.get("table") or {}
    judged = int(films.get("judged") or 0)
    text = f"{judged:,} films"
    if isinstance(table.get("patients"), int):
        # the table of a run holds the films judged
        text += f" of {'at most ' if table.get('films') != judged else ''}{table['patients']:,} patients"
    sources = _levels(run, "source")
    if sources:
        text += f", from {len(sources)} source{'s' if len(sources) > 1 else ''} ({', '.join(sources)})"
    refused = sum(_counts(films.get("refused")).values())
    left = sum(_counts(films.get("left_out")).values())
    rest = [f"{count:,} {what}" for count, what in ((refused, "were refused"), (left, "were left out")) if count]
    return f"{text}.{' ' + ' and '.join(rest) + ', for the reasons counted below.' if rest else ''}"


def _levels(run: EvaluationRun, factor: str) -> list[str]:
    return list(dict.fromkeys(level_of(n) for n in run.numbers if n.group == "subgroup" and factor_of(n) == factor))


def _counts(value: Any) -> dict[str, int]:
    """Count by reason, also where a run stored one number."""
    if isinstance(value, Mapping):
        return {str(reason): int(count) for reason, count in value.items() if isinstance(count, int)}
    return {"in all": int(value)} if isinstance(value, int) and value else {}


def _told(one: Headline) -> str:
    name = words(one.contrast)
    if one.verdict == "supported":
        return f"{name}: the audit found no shortcut that explains the result on these films."
    because = " ".join(sentence_and_probe(said)[0] for said in one.because[:_MOST_REASONS])
    if one.verdict == "not supported":
        return f"{name}: {because or 'the shortcut audit does not support it.'}"
    return f"{name}: {because or 'these films do not show whether it is the disease or the hospital.'}"


def _not_audited(by_verdict: Mapping[str, list[Headline]]) -> list[str]:
    if "not audited" not in by_verdict:
        return []
    return ["Whether any of these results comes from the disease or from the hospital: no shortcut audit was made."]


def _worse(run: EvaluationRun) -> list[str]:
    """Subgroups whose whole interval of the AUC lies below the value of all films."""
    found = []
    for contrast in run.contrasts:
        whole = run.first(contrast=contrast, measure="auc", cell="all", group="contrast")
        if whole is None or whole.value is None:
            continue
        below = [
            number
            for number in run.find(contrast=contrast, measure="auc", group="subgroup")
            if number.high is not None and number.high < whole.value
        ]
        below.sort(key=lambda number: number.value or 0.0)
        names = list(dict.fromkeys(f"{factor_of(number).replace('_', ' ')} {level_of(number)}" for number in below))
        if names:
            more = f" and {len(names) - _WORST} more groups" if len(names) > _WORST else ""
            found.append(f"{words(contrast)} is told apart less well in: {', '.join(names[:_WORST])}{more}.")
    return found


def _unknown(run: EvaluationRun) -> list[str]:
    cells = {
        n.cell
        for n in run.numbers
        if n.group == "subgroup" and "=" in n.cell and n.value is None and not (n.note or "").startswith("withheld")
    }
    found = []
    if cells:
        found.append(
            f"{len(cells)} subgroup{'s have' if len(cells) > 1 else ' has'} a number that is not estimable: too few "
            "films, or one side alone."
        )
    found.append("Other hospitals, devices and times than those of these films. Validate it where you work.")
    return found


def _verdict(run: EvaluationRun, by_verdict: Mapping[str, list[Headline]]) -> str:
    if not run.metrics.get("audit"):
        return "No shortcut audit was made: headline numbers of the COVID-19 contrast are withheld."
    parts = [
        f"{len(by_verdict[name])} {name}" for name in ("supported", "not supported", "not shown") if name in by_verdict
    ]
    return f"Shortcut audit of {len(run.contrasts)} contrasts: {', '.join(parts)}."
