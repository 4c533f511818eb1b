"""Curves of a contrast: ROC, precision and recall, calibration, net benefit (M29, M4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from carina.evidence.numbers import Number
from carina.report.evaluation_run import EvaluationRun
from carina.report.evaluation_words import number_text, origin
from carina.report.page import words
from carina.report.svg_figures import CHANCE, INK, OWN, SECOND, SOFT, draw_svg, grid

__all__ = ["curve_figures"]

_SIZE = (3.25, 3.15)
_MOST_POINTS = 400
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def curve_figures(run: EvaluationRun, contrast: str) -> list[tuple[str, str, str]]:
    """Draw the curves of a contrast.

    Parameters
    ----------
    run : EvaluationRun
    contrast : str

    Returns
    -------
    list of tuple
        Kind (``"roc"``, ``"pr"``, ``"calibration"``, ``"decision"``), SVG, caption. A curve that was not stored, for
        want of one of the two sides, is missing.
    """
    stored: Mapping[str, Any] = (run.metrics.get("curves") or {}).get(contrast) or {}
    drawn = []
    for kind, (draw, caption) in _KINDS.items():
        curve = stored.get(kind)
        if curve and (svg := draw(run, contrast, curve)) is not None:
            drawn.append((kind, svg, caption))
    return drawn


def _points(curve: Any, *names: str) -> list[tuple[float, ...]]:
    """Rows of a curve as tuples, whether stored as lists or as objects; rows with a gap are left out."""
    rows = curve.get("points", []) if isinstance(curve, Mapping) else curve
    found: list[tuple[float, ...]] = []
    for row in rows:
        values: list[Any] = [row.get(name) for name in names] if isinstance(row, Mapping) else list(row)[: len(names)]
        if len(values) == len(names) and all(isinstance(value, int | float) for value in values):
            found.append(tuple(float(value) for value in values))
    if len(found) <= _MOST_POINTS:
        return found
    step = (len(found) - 1) / (_MOST_POINTS - 1)
    return [found[round(place * step)] for place in range(_MOST_POINTS)]


def _band(curve: Any) -> list[tuple[float, ...]]:
    rows = curve.get("band") if isinstance(curve, Mapping) else None
    return _points(rows, "x", "low", "high") if rows else []


def _of(count: int | None, what: str) -> str:
    return f" (n = {count:,} {what})" if count is not None else ""


def _sides(run: EvaluationRun, contrast: str, curve: Any) -> tuple[int | None, int | None]:
    """Films with and without the condition: as a curve of the contrast says, else as its ROC does."""
    for one in (curve, ((run.metrics.get("curves") or {}).get(contrast) or {}).get("roc")):
        if isinstance(one, Mapping) and isinstance(one.get("positives"), int) and isinstance(one.get("negatives"), int):
            return one["positives"], one["negatives"]
    return None, None


def _of_curve(run: EvaluationRun, contrast: str, curve: Any, *measures: str) -> Number | None:
    """Find the number of the films that a curve is of; else of the first film of each patient."""
    used = curve.get("films_used") if isinstance(curve, Mapping) else None
    for measure in measures:
        found = list(run.find(contrast=contrast, measure=measure, cell="all"))
        found.sort(key=lambda number: (number.films_used != used, number.films_used != "first_films"))
        if found:
            return found[0]
    return None


def _roc(run: EvaluationRun, contrast: str, curve: Any) -> str | None:
    points = _points(curve, "fpr", "tpr")
    if not points:
        return None
    band = _band(curve)
    with_it, without = _sides(run, contrast, curve)
    auc = _of_curve(run, contrast, curve, "auc")
    sensitivity = _of_curve(run, contrast, curve, "sensitivity")
    specificity = _of_curve(run, contrast, curve, "specificity")

    def paint(figure: Any) -> None:
        axis = figure.subplots()
        axis.plot((0, 1), (0, 1), color=CHANCE, linewidth=1, linestyle=(0, (4, 3)))
        if band:
            x, low, high = zip(*band, strict=True)
            axis.fill_between(x, low, high, color=OWN, alpha=0.16, linewidth=0)
        axis.plot([p[0] for p in points], [p[1] for p in points], color=OWN, linewidth=2)
        if sensitivity is not None and specificity is not None:
            _operating_point(axis, sensitivity, specificity)
        _label(axis, auc, (0.97, 0.04), "right")
        _unit(axis)
        axis.set(
            title="ROC",
            xlabel=f"false positive rate{_of(without, 'without')}",
            ylabel=f"sensitivity{_of(with_it, 'with')}",
        )

    return _drawn(f"roc-{contrast}", paint, f"ROC curve, {words(contrast)}", auc, sensitivity)


def _operating_point(axis: Any, sensitivity: Number, specificity: Number) -> None:
    if sensitivity.value is None or specificity.value is None:
        return
    x, y = 1 - specificity.value, sensitivity.value
    for bar in (
        (x, x, sensitivity.low, sensitivity.high),
        (
            None if specificity.high is None else 1 - specificity.high,
            None if specificity.low is None else 1 - specificity.low,
            y,
            y,
        ),
    ):
        if None not in bar:
            axis.plot(bar[:2], bar[2:], color=SECOND, linewidth=1.4, solid_capstyle="butt")
    axis.plot(x, y, "o", color=SECOND, markersize=6, gid=f"id:{sensitivity.id}")
    left = x > 0.5  # noqa: PLR2004 - middle of the axis
    axis.annotate(
        "threshold in use",
        (x, y),
        xytext=(-9 if left else 9, -13),
        textcoords="offset points",
        ha="right" if left else "left",
        fontsize=8.5,
        color=SECOND,
    )


def _pr(run: EvaluationRun, contrast: str, curve: Any) -> str | None:
    points = _points(curve, "recall", "precision")
    if not points:
        return None
    band = _band(curve)
    with_it, without = _sides(run, contrast, curve)
    share = with_it / (with_it + without) if with_it and without is not None else None
    area = _of_curve(run, contrast, curve, "average_precision")

    def paint(figure: Any) -> None:
        axis = figure.subplots()
        if share is not None:
            axis.axhline(share, color=CHANCE, linewidth=1, linestyle=(0, (4, 3)))
            axis.annotate(
                "no skill", (0.02, share), xytext=(0, 4), textcoords="offset points", fontsize=8.5, color=SOFT
            )
        if band:
            x, low, high = zip(*band, strict=True)
            axis.fill_between(x, low, high, color=OWN, alpha=0.16, linewidth=0)
        axis.plot([p[0] for p in points], [p[1] for p in points], color=OWN, linewidth=2)
        _label(axis, area, (0.03, 0.04), "left")
        _unit(axis)
        axis.set(
            title="Precision and recall",
            xlabel=f"recall = sensitivity{_of(with_it, 'with')}",
            ylabel=f"precision = PPV{_of(None if with_it is None or without is None else with_it + without, 'in all')}",
        )

    return _drawn(f"pr-{contrast}", paint, f"Precision and recall, {words(contrast)}", area)


def _calibration(run: EvaluationRun, contrast: str, curve: Any) -> str | None:
    rows = curve.get("bins", []) if isinstance(curve, Mapping) else curve
    bins = [one for row in rows if (one := _bin(row)) is not None]
    if not bins:
        return None
    total = sum(one[4] for one in bins)
    slope, ece = (_of_curve(run, contrast, curve, measure) for measure in ("slope", "ece"))

    def paint(figure: Any) -> None:
        axis, counts = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [5, 1]})
        axis.plot((0, 1), (0, 1), color=CHANCE, linewidth=1, linestyle=(0, (4, 3)))
        for predicted, observed, low, high, _ in bins:
            if low is not None and high is not None:
                axis.plot((predicted, predicted), (low, high), color=OWN, linewidth=1.6)
            axis.plot(predicted, observed, "o", color=OWN, markersize=5)
        axis.plot([one[0] for one in bins], [one[1] for one in bins], color=OWN, linewidth=1, alpha=0.6)
        lines = [
            f"{name} {number_text(one)}"
            for name, one in (("slope", slope), ("ECE", ece))
            if one is not None and one.value is not None
        ]
        above = sum((one[1] - one[0]) * one[4] for one in bins) > 0  # the text stands where the curve is not
        place = {"x": 0.98, "y": 0.03, "va": "bottom", "ha": "right"} if above else {"x": 0.03, "y": 0.97, "va": "top"}
        axis.text(s="\n".join(lines), transform=axis.transAxes, fontsize=8.5, color=INK, **place)
        axis.set(title="Calibration", ylabel="share found", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), yticks=_TICKS)
        counts.bar([one[0] for one in bins], [one[4] for one in bins], width=0.035, color=OWN, alpha=0.55, linewidth=0)
        counts.set(xlabel=f"predicted probability (n = {total:,})", ylabel="films", xticks=_TICKS)
        counts.set_ylim(bottom=0)
        counts.locator_params(axis="y", nbins=2)
        grid(axis)
        grid(counts, "x")

    return _drawn(f"calibration-{contrast}", paint, f"Calibration, {words(contrast)}", slope, ece)


def _bin(row: Any) -> tuple[float, float, float | None, float | None, int] | None:
    """Predicted mean, observed share, its interval, films."""
    predicted, observed = row.get("predicted"), row.get("observed")
    if not isinstance(predicted, int | float) or not isinstance(observed, int | float):
        return None
    return (float(predicted), float(observed), row.get("low"), row.get("high"), int(row.get("n") or 0))


def _decision(run: EvaluationRun, contrast: str, curve: Any) -> str | None:
    rows, band = _points(curve, "threshold", "net_benefit", "treat_all"), _points(curve, "threshold", "low", "high")
    if not rows:
        return None
    with_it, without = _sides(run, contrast, curve)
    total = None if with_it is None or without is None else with_it + without
    top = max(0.01, rows[0][2], *(row[1] for row in rows), *(row[2] for row in band))

    def paint(figure: Any) -> None:
        axis = figure.subplots()
        at = [row[0] for row in rows]
        axis.axhline(0, color=CHANCE, linewidth=1.2)
        if band:
            axis.fill_between(*zip(*band, strict=True), color=OWN, alpha=0.16, linewidth=0)
        axis.plot(at, [row[2] for row in rows], color=SECOND, linewidth=1.4, linestyle=(0, (5, 2)))
        axis.plot(at, [row[1] for row in rows], color=OWN, linewidth=2)
        axis.set(
            title="Decision curve",
            xlabel=f"threshold probability{_of(total, 'films')}",
            ylabel="net benefit a film",
            xlim=(0, 1),
            ylim=(-0.22 * top, 1.12 * top),
        )
        axis.annotate("call none", (0.015, 0), xytext=(0, 3), textcoords="offset points", fontsize=8.5, color=SOFT)
        _end_label(axis, at, [row[2] for row in rows], top)
        middle = len(at) // 3
        axis.annotate(
            "model", (at[middle], rows[middle][1]), xytext=(4, 6), textcoords="offset points", fontsize=8.5, color=OWN
        )
        grid(axis)

    return _drawn(f"decision-{contrast}", paint, f"Decision curve, {words(contrast)}")


def _end_label(axis: Any, at: Sequence[float], values: Sequence[float], top: float) -> None:
    """Write the name of calling all beside the place where its line leaves the picture."""
    place = next((number for number, value in enumerate(values) if value < -0.12 * top), len(values) - 1)
    left = at[place] < 0.75  # noqa: PLR2004 - keeps it inside
    axis.annotate(
        "call all",
        (at[place], max(values[place], -0.2 * top)),
        xytext=(6 if left else -6, 2),
        textcoords="offset points",
        fontsize=8.5,
        color=SECOND,
        ha="left" if left else "right",
    )


def _label(axis: Any, number: Number | None, place: tuple[float, float], side: str) -> None:
    if number is None or number.value is None:
        return
    name = "AUC" if number.measure == "auc" else "average precision"
    axis.text(
        *place,
        f"{name}\n{number_text(number)}",
        transform=axis.transAxes,
        ha=side,
        fontsize=9,
        fontweight="bold",
        color=OWN,
    )


def _unit(axis: Any) -> None:
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=_TICKS, yticks=_TICKS)
    axis.set_aspect("equal")
    grid(axis)


def _drawn(name: str, paint: Any, label: str, *numbers: Number | None) -> str:
    said = "; ".join(number_text(number) for number in numbers if number is not None)
    titles = {number.id: origin(number) for number in numbers if number is not None}
    return draw_svg(name, _SIZE, paint, label=f"{label}. {said}".strip(), titles=titles)


_KINDS = {
    "roc": (_roc, "Band: interval by patient. Orange: the threshold in use, fixed beforehand, with its intervals."),
    "pr": (_pr, "Depends on how common the condition is among these films (dashed)."),
    "calibration": (_calibration, "Of films given a probability, the share that has the condition. Bars below: films."),
    "decision": (_decision, "Net benefit of calling by the model, calling all, calling none (Vickers 2006)."),
}
