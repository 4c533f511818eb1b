"""`MODEL_CARD.md` of an evaluation: the report's data in Markdown, then the card of the training as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from carina.evidence.numbers import Number
from carina.report.evaluation_page import Report
from carina.report.evaluation_run import factor_of
from carina.report.evaluation_summary import Headline
from carina.report.evaluation_words import cell_words, measure_words, number_text
from carina.report.page import words

__all__ = ["run_card"]

_DENOMINATORS = {"among_pneumonia": "among pneumonia", "all_films": "among all films"}
_SHOWN = ("auc", "sensitivity", "specificity")


def run_card(report: Report) -> str:
    """Write the model card of a run.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
        Markdown.
    """
    return "\n".join(
        [
            f"# {report.run.model_name}: model card of an evaluation",
            "",
            "**Research use only.** Not a medical device. The doctor decides.",
            "",
            *_short(report),
            *_results(report),
            *_subgroups(report),
            *_audit(report),
            *_guidelines(report),
            *_made(report),
            *_training(report),
        ]
    )


def _short(report: Report) -> Iterator[str]:
    summary = report.summary
    yield from ("## In short", "", summary.what, "", f"Judged on {summary.whom}", "", summary.verdict, "")
    for title, sentences in (
        ("These films support", summary.supported),
        ("Do not trust it for", summary.unsupported),
        ("These films cannot show", summary.unknown),
    ):
        if sentences:
            yield from (f"**{title}**", "", *(f"- {sentence}" for sentence in sentences), "")


def _results(report: Report) -> Iterator[str]:
    yield from ("## Results", "", "| contrast | audit | measure | value (interval) | events of n | id |")
    yield "|---|---|---|---|---|---|"
    for one in report.summary.headlines:
        for number in _of(one):
            counts = (
                ""
                if number.n is None
                else (f"{number.events} of {number.n}" if number.events is not None else f"n = {number.n}")
            )
            told = measure_words(number.measure)
            if number.denominator in _DENOMINATORS:
                told += f", {_DENOMINATORS[number.denominator]}"
            cells = (words(one.contrast), one.verdict, told, number_text(number), counts, f"`{number.id}`")
            yield f"| {' | '.join(_cell(cell) for cell in cells)} |"
    yield ""


def _of(one: Headline) -> list[Number]:
    return [*([] if one.area is None else [one.area]), *one.numbers]


def _subgroups(report: Report) -> Iterator[str]:
    found = [n for n in report.run.numbers if n.group == "subgroup" and n.measure in _SHOWN and factor_of(n)]
    yield from ("## Subgroups", "")
    if not found:
        yield from ("NOT SHOWN: the table names no groups that are large enough.", "")
        return
    yield "| contrast | group | measure | value (interval) | n |"
    yield "|---|---|---|---|---|"
    for number in found:
        cells = (
            words(number.contrast or ""),
            cell_words(number),
            measure_words(number.measure),
            number_text(number),
            "" if number.n is None else str(number.n),
        )
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"
    yield ""


def _audit(report: Report) -> Iterator[str]:
    yield from ("## Shortcut audit", "")
    if report.run.audit is None:
        yield from ("NOT SHOWN: no audit lies beside this evaluation.", "")
        return
    for name, verdict in report.run.verdicts.items():
        yield f"- **{words(name)}: {verdict}.** {' '.join(report.run.because.get(name, []))}".rstrip()
    yield from ("", "| probe | outcome | sentence |", "|---|---|---|")
    for probe in report.run.audit.get("probes", []):
        cells = (probe.get("name", ""), probe.get("outcome", ""), probe.get("sentence", ""))
        yield f"| {' | '.join(_cell(str(cell)) for cell in cells)} |"
    yield ""


def _guidelines(report: Report) -> Iterator[str]:
    yield from ("## Reporting guidelines", "", "| guideline | met | NOT SHOWN | for the authors |", "|---|---|---|---|")
    for one in report.checklists:
        yield f"| {one.name} | {one.count('met')} | {one.count('NOT SHOWN')} | {one.count('for the authors')} |"
    yield from ("", "Item by item in `checklists.json` and `report.html`.", "")


def _made(report: Report) -> Iterator[str]:
    metrics, model, table = report.run.metrics, report.run.model or {}, report.run.metrics.get("table") or {}
    yield from ("## Made by", "")
    yield f"Model sha-256 `{model.get('model_sha256')}`, film table sha-256 `{table.get('sha256')}`,"
    yield f"seed {metrics.get('seed')}, carina {metrics.get('carina')}, {metrics.get('created')}."
    yield "Every number stands in `metrics.json`."
    yield ""


def _training(report: Report) -> Iterator[str]:
    yield from ("## The card of its training", "")
    if report.bundle is None:
        yield from (f"NOT SHOWN: {report.without_bundle}.", "")
        return
    yield from ("As it lies in the bundle; its figures are of the films named there.", "")
    yield re.sub(r"^(#+ )", r"##\1", report.bundle.card, flags=re.MULTILINE).strip()
    yield ""


def _cell(text: str) -> str:
    """Text that stays in its cell."""
    return " ".join(text.replace("|", "\\|").split())
