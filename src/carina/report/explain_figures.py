"""Figures of `carina explain`: each with its intervals and what chance would give."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from carina.evidence import Estimate, Explanation
from carina.evidence.measures import STAGES, stage_name
from carina.report.page import words

__all__ = ["FIGURES", "draw_figures"]

_INK, _SOFT, _GRID = "#16202b", "#5b6b7a", "#e3e9ee"
_OWN, _CHANCE, _PRIOR = "#0b6b78", "#9aa7b3", "#d9822b"
_NAMES = {"map": "class map", "random": "random map", "lung_centres": "lung centres"}
_COLOURS = {"map": _OWN, "random": _CHANCE, "lung_centres": _PRIOR}
_DOTS_PER_INCH = 150
_STYLE = {
    "font.size": 9.5,
    "font.family": "DejaVu Sans",
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _SOFT,
    "ytick.color": _INK,
    "text.color": _INK,
    "figure.facecolor": "white",
    "svg.hashsalt": "carina",
}


def draw_figures(explanation: Explanation) -> dict[str, bytes]:
    """Draw what was measured.

    Parameters
    ----------
    explanation : Explanation

    Returns
    -------
    dict of str to bytes
        PNG files by name without ending; a figure whose measures were not made is missing.
    """
    import matplotlib as mpl  # noqa: PLC0415 - of the extra 'study', and slow to load
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - as above
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    drawn = {}
    for name, draw in FIGURES.items():
        with mpl.rc_context(_STYLE):
            figure = Figure(layout="constrained")
            FigureCanvasAgg(figure)
            if not draw(figure, explanation):
                continue
            file = io.BytesIO()
            figure.savefig(file, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
            drawn[name] = file.getvalue()
    return drawn


def _lungs(figure: Any, explanation: Explanation) -> bool:
    """Draw mass share beside area share, and their ratio, by group."""
    rows = [
        (_group_word(one.group), one.estimate, explanation.find("lung_area", one.group), one.group)
        for one in explanation.measures
        if one.measure == "lung_share" and one.estimate.estimate is not None
    ]
    if not rows:
        return False
    figure.set_size_inches(9.2, 1.5 + 0.34 * len(rows))
    share, ratio = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [3, 2]})
    for place, (_, estimate, area, group) in enumerate(rows):
        _dot(share, estimate, place, _OWN)
        if area is not None and area.estimate.estimate is not None:
            share.plot(area.estimate.estimate, place, "|", color=_SOFT, markersize=12, markeredgewidth=2)
        reference = explanation.find("lung_reference", group)
        if reference is not None and reference.estimate.estimate is not None:
            share.plot(reference.estimate.estimate, place, "D", mfc="none", mec=_PRIOR, markersize=5)
        found = explanation.find("lung_enrichment", group)
        if found is not None:
            _dot(ratio, found.estimate, place, _OWN)
    share.plot([], [], "o", color=_OWN, label="class map")
    share.plot([], [], "|", color=_SOFT, markersize=12, markeredgewidth=2, label="area: a map that points nowhere")
    share.plot([], [], "D", mfc="none", mec=_PRIOR, markersize=5, label="a map of this grid that follows the lungs")
    share.set(xlim=(0, 1), xlabel="share of the mass inside the lung fields", title="Mass inside the lungs")
    share.set_yticks(range(len(rows)), [f"{word}  (n = {estimate.films})" for word, estimate, _, _ in rows])
    share.invert_yaxis()
    figure.legend(*share.get_legend_handles_labels(), loc="outside upper left", ncols=3, frameon=False, fontsize=8.5)
    ratio.axvline(1.0, color=_SOFT, linewidth=1, linestyle=(0, (4, 3)))
    ratio.set(xlabel="mass share / area share", title="Area-corrected")
    ratio.set_xlim(left=0.0)
    _grid(share, "x")
    _grid(ratio, "x")
    return True


def _curves(figure: Any, explanation: Explanation) -> bool:
    """Draw deletion and insertion."""
    if not explanation.curves:
        return False
    figure.set_size_inches(9.2, 3.4)
    axes = dict(zip(("deletion", "insertion"), figure.subplots(1, 2, sharey=True), strict=True))
    for curve in explanation.curves:
        colour, last = _COLOURS[curve.ranking], len(curve.points) - 1
        places = [place / last for place in range(last + 1)]
        values = [one.estimate for one in curve.points]
        axis = axes[curve.kind]
        axis.plot(
            places, values, color=colour, linewidth=2, label=f"{_NAMES[curve.ranking]} (n = {curve.points[0].films})"
        )
        if curve.ranking == "map" and all(one.low is not None for one in curve.points):
            axis.fill_between(
                places,
                [one.low for one in curve.points],
                [one.high for one in curve.points],
                color=colour,
                alpha=0.13,
                lw=0,
            )
    axes["deletion"].set(
        title="Deletion: lower is better", xlabel="share of the pixels taken away", ylabel="probability of the class"
    )
    axes["insertion"].set(title="Insertion: higher is better", xlabel="share of the pixels shown")
    axes["deletion"].set(xlim=(0, 1), ylim=(0, None))
    for axis in axes.values():
        _grid(axis, "both")
        axis.legend(frameon=False, fontsize=8.5)
    return True


def _weights(figure: Any, explanation: Explanation) -> bool:
    """Draw the likeness of the map to that of shuffled networks."""
    figure.set_size_inches(9.2, 3.2)
    axes = figure.subplots(1, 2)
    shown = False
    for axis, kind, title in (
        (axes[0], "correlation", "Rank correlation with the real map"),
        (axes[1], "similarity", "Structural similarity (SSIM)"),
    ):
        axis.plot(0, 1.0, "o", color=_OWN)
        for share in STAGES:
            found = explanation.find(f"shuffled_{stage_name(share)}_{kind}", "costly")
            if found is not None and found.estimate.estimate is not None:
                shown = True
                _dot(axis, found.estimate, 100 * share, _OWN, upright=True)
        floor = explanation.find(f"other_film_{kind}", "costly")
        if floor is not None and floor.estimate.estimate is not None:
            if floor.estimate.low is not None and floor.estimate.high is not None:
                axis.axhspan(floor.estimate.low, floor.estimate.high, color=_PRIOR, alpha=0.13, lw=0)
            axis.axhline(floor.estimate.estimate, color=_PRIOR, linewidth=1.4, label="maps of two patients' films")
            axis.legend(frameon=False, fontsize=8.5)
        axis.set(xlabel="% of the layers shuffled, from the output", title=title, xlim=(-6, 106), ylim=(None, 1.08))
        axis.axhline(0.0, color=_SOFT, linewidth=0.8)
        _grid(axis, "y")
    return shown


def _boxes(figure: Any, explanation: Explanation) -> bool:
    """Draw pointing game, average precision and sensitivity against readers' boxes."""
    if not explanation.detectors:
        return False
    figure.set_size_inches(9.2, 3.3)
    pointing, precision, sensitivity = figure.subplots(1, 3)
    kinds = (
        ("pointing", "class map", _OWN),
        ("pointing_lung_centres", "lung centres", _PRIOR),
        ("pointing_average_box", "average box", _PRIOR),
        ("box_area", "blind point", _CHANCE),
    )
    rows = [
        (found.estimate, word, colour)
        for name, word, colour in kinds
        if (found := explanation.find(name, "boxes")) is not None and found.estimate.estimate is not None
    ]
    for place, (estimate, _, colour) in enumerate(rows):
        _dot(pointing, estimate, place, colour)
    pointing.set_yticks(range(len(rows)), [word for _, word, _ in rows])
    pointing.invert_yaxis()
    pointing.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), title="Pointing game", xlabel="films with a hit")
    words = {
        "model": "box branch",
        "class_map": "class map",
        "lung_centres": "lung centres",
        "average_box": "average box",
    }
    colours = {"model": "#7a3f9d", "class_map": _OWN, "lung_centres": _PRIOR, "average_box": "#8a5a00"}
    for place, one in enumerate(explanation.detectors):
        for iou, estimate in one.average_precision.items():
            _dot(
                precision,
                estimate,
                place + (0.14 if iou > min(one.average_precision) else -0.14),
                colours[one.name],
                hollow=iou > min(one.average_precision),
            )
        at = list(one.sensitivity)
        sensitivity.plot(
            at, [one.sensitivity[false].estimate for false in at], "o-", color=colours[one.name], label=words[one.name]
        )
    precision.set_yticks(range(len(explanation.detectors)), [words[one.name] for one in explanation.detectors])
    precision.set(
        ylim=(len(explanation.detectors) - 0.5, -0.5), title="Average precision", xlabel="filled IoU 0.3, hollow 0.5"
    )
    precision.set_xlim(left=0.0)
    sensitivity.set(title="Boxes found, IoU 0.3", xlabel="false boxes a film", ylim=(0, 1))
    sensitivity.set_xticks([0.5, 1, 2])
    sensitivity.legend(frameon=False, fontsize=8.5)
    for axis in (pointing, precision, sensitivity):
        _grid(axis, "both")
    return True


def _checks(figure: Any, explanation: Explanation) -> bool:
    """Draw stability, and agreement with occlusion."""
    kinds = (
        ("shift_correlation", "map after a shift of 4 %"),
        ("noise_correlation", "map with noise of 2 %"),
        ("occlusion_correlation", "map and occlusion"),
        ("other_film_correlation", "maps of two patients' films"),
    )
    rows = [
        (found.estimate, word)
        for name, word in kinds
        if (found := explanation.find(name, "costly")) is not None and found.estimate.estimate is not None
    ]
    if not rows:
        return False
    figure.set_size_inches(9.2, 1.1 + 0.36 * len(rows))
    axis = figure.subplots()
    for place, (estimate, _) in enumerate(rows):
        _dot(axis, estimate, place, _PRIOR if place == len(rows) - 1 else _OWN)
    axis.set_yticks(range(len(rows)), [f"{word}  (n = {estimate.films})" for estimate, word in rows])
    axis.set(
        xlim=(-0.5, 1.02), ylim=(len(rows) - 0.5, -0.5), xlabel="rank correlation", title="Stability and agreement"
    )
    axis.axvline(0.0, color=_SOFT, linewidth=1, linestyle=(0, (4, 3)))
    _grid(axis, "x")
    return True


FIGURES: dict[str, Callable[[Any, Explanation], bool]] = {
    "lungs": _lungs,
    "boxes": _boxes,
    "deletion_insertion": _curves,
    "shuffled_weights": _weights,
    "stability": _checks,
}
"""Every figure by name; a drawing function answers whether there was anything to draw."""


def _dot(
    axis: Any, estimate: Estimate, place: float, colour: str, *, upright: bool = False, hollow: bool = False
) -> None:
    if estimate.estimate is None:
        return
    face = "white" if hollow else colour
    if estimate.low is not None and estimate.high is not None:
        ends, across = [estimate.low, estimate.high], [place, place]
        axis.plot(*((across, ends) if upright else (ends, across)), color=colour, linewidth=2, solid_capstyle="round")
    point: Sequence[float] = (place, estimate.estimate) if upright else (estimate.estimate, place)
    axis.plot(*point, "o", color=colour, markerfacecolor=face, markersize=6)


def _grid(axis: Any, which: str) -> None:
    axis.grid(visible=True, axis=which, color=_GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(length=0)


def _group_word(group: str) -> str:
    known = {
        "sample": "all films drawn",
        "masks": "films with given masks",
        "boxes": "films with readers' boxes",
        "agreed": "films that the model calls so",
        "boxes_agreed": "of these, called so",
    }
    return known.get(group) or words(group.partition("=")[2])
