"""Figures of texture: spread by class, effects of a signature as forest and volcano, a film's percentiles (M27)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from carina.evidence.signature_effects import Effect
from carina.report.atlas_films import split_name
from carina.report.atlas_numbers import Placed, Spread
from carina.report.svg_figures import CHANCE, OWN, SECOND, SOFT, draw_svg, grid

__all__ = ["effect_forest", "feature_words", "places_figure", "spread_figure", "volcano_figure"]

_ROW = 0.27
_LEAST_P = 1e-12
_REGIONS = {"lungs": "both lungs"}


def feature_words(feature: str) -> str:
    """Words for a feature.

    Examples
    --------
    >>> feature_words("left_upper.wavelet-LH_glcm_JointEntropy")
    'JointEntropy (glcm), wavelet-LH, left upper'
    """
    region, picture, family, name = split_name(feature)
    where = _REGIONS.get(region, region.replace("_", " "))
    return f"{name} ({family}), {where}" if picture == "original" else f"{name} ({family}), {picture}, {where}"


def spread_figure(name: str, spreads: Sequence[Spread], marks: Sequence[tuple[str, float]] = ()) -> str | None:
    """Draw the spread of a feature by group; `None` without a group.

    Parameters
    ----------
    name : str
        Of the figure, unique on its page.
    spreads : sequence of Spread
    marks : sequence of (str, float)
        Values to point at.

    Returns
    -------
    str or None
        SVG.
    """
    if not spreads:
        return None

    def paint(figure: Any) -> None:
        axis = figure.subplots()
        for place, one in enumerate(spreads):
            low, first, middle, third, high = one.quantiles
            axis.plot((low, high), (place, place), color=OWN, linewidth=1.4, alpha=0.65, solid_capstyle="butt")
            axis.barh(place, third - first, left=first, height=0.5, color=OWN, alpha=0.35, linewidth=0)
            axis.plot((middle, middle), (place - 0.25, place + 0.25), color=OWN, linewidth=2.4)
        for _, value in marks:
            axis.axvline(value, color=SECOND, linewidth=1.1, linestyle=(0, (3, 2)))
        axis.set_yticks(range(len(spreads)), [f"{one.group.replace('_', ' ')}  (n = {one.films})" for one in spreads])
        axis.set_ylim(len(spreads) - 0.4, -0.6)
        axis.spines["left"].set_visible(False)
        axis.locator_params(axis="x", nbins=5)
        grid(axis, "x")

    label = "; ".join(f"{one.group}: median {one.quantiles[2]:.4g}" for one in spreads)
    return draw_svg(name, (6.2, 0.65 + _ROW * len(spreads)), paint, label=label)


def effect_forest(
    effects: Sequence[Effect], kept: set[str], name: str = "signature-forest", most: int = 24
) -> str | None:
    """Draw the strongest effects with their intervals; within sources where there is such a test.

    Parameters
    ----------
    effects : sequence of Effect
    kept : set of str
        Stable features.
    name : str
    most : int

    Returns
    -------
    str or None
        SVG; `None` without an effect.
    """
    inside = any(one.within_p is not None for one in effects)
    known = [one for one in effects if one.g is not None and one.feature in kept]
    known.sort(key=lambda one: ((one.within_p if inside else one.p) or 0.0, -abs(one.g or 0.0)))
    shown = _one_a_kind(known)[:most]
    if not shown:
        return None

    def paint(figure: Any) -> None:
        axis = figure.subplots()
        axis.axvline(0, color=CHANCE, linewidth=1, linestyle=(0, (4, 3)))
        for place, one in enumerate(shown):
            if one.g_low is not None and one.g_high is not None:
                axis.plot((one.g_low, one.g_high), (place, place), color=OWN, linewidth=1.8, solid_capstyle="butt")
            axis.plot(one.g, place, marker="s", markersize=4.6, color=OWN, linestyle="none")
            if one.within_g is not None:
                axis.plot(one.within_g, place, marker="o", markersize=5.2, color=SECOND, linestyle="none", alpha=0.9)
            q = one.within_q if inside else one.q
            axis.text(1.02, place, "" if q is None else _q(q), fontsize=8, color=SOFT, va="center",
                      transform=axis.get_yaxis_transform())  # fmt: skip
        axis.set_yticks(range(len(shown)), [feature_words(one.feature) for one in shown], fontsize=8)
        axis.set_ylim(len(shown) - 0.4, -0.7)
        axis.set_xlabel("Hedges' g, 95 % interval by patient" + ("; dot: within sources" if inside else ""))
        axis.spines["left"].set_visible(False)
        grid(axis, "x")

    label = "; ".join(f"{feature_words(one.feature)} {one.g:+.2f}" for one in shown if one.g is not None)
    return draw_svg(name, (8.6, 0.9 + 0.235 * len(shown)), paint, label=label)


def volcano_figure(effects: Sequence[Effect], kept: set[str], name: str = "signature-volcano") -> str | None:
    """Draw every feature's effect against its p value, all films beside within sources.

    Returns
    -------
    str or None
        SVG; `None` without an effect.
    """
    panels = [
        ("All films", [(one, one.g, one.p, one.q) for one in effects]),
        ("Within sources", [(one, one.within_g, one.within_p, one.within_q) for one in effects]),
    ]
    shown = [
        (title, [(one.feature in kept, g, p, q) for one, g, p, q in rows if g is not None and p is not None])
        for title, rows in panels
    ]
    shown = [(title, rows) for title, rows in shown if rows]
    if not shown:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axis, (title, rows) in zip(axes, shown, strict=True):
            for wanted, colour, size in ((False, CHANCE, 7), (True, OWN, 11)):
                part = [
                    (g, -math.log10(max(p, _LEAST_P)))
                    for stable, g, p, q in rows
                    if (stable and q is not None and q <= 0.05) is wanted  # noqa: PLR2004 - false discovery rate
                ]
                if part:
                    axis.scatter(
                        *zip(*part, strict=True), s=size, color=colour, alpha=0.55, linewidths=0, rasterized=True
                    )
            axis.axvline(0, color=CHANCE, linewidth=1, linestyle=(0, (4, 3)))
            axis.set_title(title)
            axis.set_xlabel("Hedges' g")
            grid(axis)
        axes[0].set_xlabel("Hedges' g; blue: stable, q \u2264 0.05")
        axes[0].set_ylabel(f"\u2212log10 p, {-math.log10(_LEAST_P):.0f} at most")

    counts = "; ".join(f"{title}: {len(rows)} features" for title, rows in shown)
    return draw_svg(name, (4.3 * len(shown), 3.3), paint, label=f"Effect and p value of every feature. {counts}")


def places_figure(name: str, placed: Sequence[Placed], *, distances: bool = False) -> str | None:
    """Draw where a film's features lie among those of the reference.

    Parameters
    ----------
    name : str
        Of the figure, unique on its page.
    placed : sequence of Placed
    distances : bool
        Whether they are drawn as distances in standard deviations, or as percentiles from 0 to 100.

    Returns
    -------
    str or None
        SVG; `None` without a feature.
    """
    if not placed:
        return None
    middle, bands = (0.0, ((-1.96, 1.96), (-0.67, 0.67))) if distances else (50.0, ((2.5, 97.5), (25.0, 75.0)))

    def paint(figure: Any) -> None:
        axis = figure.subplots()
        for (low, high), shade in zip(bands, (0.08, 0.14), strict=True):
            axis.axvspan(low, high, color=OWN, alpha=shade, linewidth=0)
        axis.axvline(middle, color=CHANCE, linewidth=1, linestyle=(0, (4, 3)))
        for place, one in enumerate(placed):
            at, said = (one.z, f"{one.percentile:.0f}th") if distances else (one.percentile, f"{one.z:+.1f} SD")
            odd = not 2.5 <= one.percentile <= 97.5  # noqa: PLR2004 - the shaded band
            marker, colour = ("D", SECOND) if odd else ("o", OWN)
            axis.plot((middle, at), (place, place), color=colour, linewidth=1, alpha=0.5)
            axis.plot(at, place, marker=marker, markersize=5.5, color=colour, linestyle="none")
            axis.text(1.02, place, said, fontsize=8, color=SOFT, va="center", transform=axis.get_yaxis_transform())
        axis.set_yticks(range(len(placed)), [feature_words(one.feature) for one in placed], fontsize=8)
        axis.set_ylim(len(placed) - 0.4, -0.7)
        if not distances:
            axis.set_xlim(-2, 102)
        unit = "standard deviations from the mean of" if distances else "percentile among"
        bell = " of a bell curve" if distances else ""
        # the axis is narrower than the figure by its features' names
        axis.set_xlabel(f"{unit} the reference films\n(bands: middle half and 95 %{bell})")
        axis.spines["left"].set_visible(False)
        grid(axis, "x")

    label = "; ".join(f"{feature_words(one.feature)} percentile {one.percentile:.0f}" for one in placed)
    return draw_svg(name, (8.6, 1.1 + 0.24 * len(placed)), paint, label=label)


def _one_a_kind(effects: Sequence[Effect]) -> list[Effect]:
    kept: list[Effect] = []
    seen: set[tuple[str, str, str]] = set()
    for one in effects:
        kind = split_name(one.feature)[1:]
        if kind not in seen:
            seen.add(kind)
            kept.append(one)
    return kept


def _q(q: float) -> str:
    return "q < 0.001" if q < 0.001 else f"q = {q:.3f}"  # noqa: PLR2004 - three decimals
