"""The atlas: what each texture feature looks like on films, and one film's texture sheet (M27)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from carina.evidence.signature_effects import Effect
from carina.evidence.signature_table import SignatureTable, feature_code
from carina.imaging.lung_fields import ZONES
from carina.report.atlas_figures import effect_forest, feature_words, places_figure, spread_figure, volcano_figure
from carina.report.atlas_films import FilmShelf, choose_films, choose_shown, split_name
from carina.report.atlas_numbers import film_places, groups_of, reference_rows, spreads, unusual, zone_rows
from carina.report.html import page_parts, page_templates, write_whole
from carina.report.page import words
from carina.report.svg_figures import plain_colours

__all__ = ["AtlasOptions", "FoundSignature", "write_atlas", "write_sheet"]

_STYLES = ("page.css", "evaluation.css", "explain.css", "atlas.css")
_SHOWN_UNUSUAL = 24


@dataclass(frozen=True, slots=True)
class FoundSignature:
    """A signature read back from its folder.

    Attributes
    ----------
    contrast, verdict : str
    sentences : tuple of str
    effects : tuple of Effect
    kept : frozenset of str
        Stable features.
    """

    contrast: str
    verdict: str
    sentences: tuple[str, ...]
    effects: tuple[Effect, ...]
    kept: frozenset[str]

    @property
    def strongest(self) -> list[str]:
        """Stable features, the strongest within sources first, or over all films where no source has both sides."""
        inside = any(one.within_p is not None for one in self.effects)

        def strength(one: Effect) -> tuple[float, float]:
            p = one.within_p if inside else one.p
            return (2.0 if p is None else p, -abs(one.g or 0.0))

        return [one.feature for one in sorted(self.effects, key=strength) if one.feature in self.kept]


@dataclass(frozen=True, slots=True)
class AtlasOptions:
    """What the atlas shows.

    Attributes
    ----------
    features : tuple of str
        Named ones; without, the strongest of the signature, or one or two of each class.
    most : int
        Features at most, where none is named.
    side : int
        Longest side of a film on the page, pixels.
    radius : int
        Of the window of a map, pixels.
    reference_label, reference_source : str or None
        Population of a film's sheet; all other patients without.
    now : datetime or None
        Date printed; the present when left out.
    """

    features: tuple[str, ...] = ()
    most: int = 12
    side: int = 330
    radius: int = 3
    reference_label: str | None = None
    reference_source: str | None = None
    now: datetime | None = field(default=None)


def write_atlas(
    table: SignatureTable,
    shelf: FilmShelf,
    out: Path,
    options: AtlasOptions | None = None,
    *,
    signature: FoundSignature | None = None,
    done: Callable[[int], None] | None = None,
) -> Path:
    """Write the atlas.

    Parameters
    ----------
    table : SignatureTable
    shelf : FilmShelf
    out : Path
        Folder; gets ``atlas.html`` and, with a signature, ``signature-forest.svg`` and ``signature-volcano.svg``.
    options : AtlasOptions or None
    signature : FoundSignature or None
    done : callable, optional
        Called with the number of features finished.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    TableError
        If a feature named is not in the table.
    OutputError
        If the folder cannot be written.
    """
    chosen = options or AtlasOptions()
    shown = choose_shown(table, chosen.features, [] if signature is None else signature.strongest, chosen.most)
    sections = []
    for number, feature in enumerate(shown):
        sections.append(_section(table, shelf, feature, number=number, options=chosen, signature=signature))
        if done is not None:
            done(number + 1)
    figures = {} if signature is None else _signature_figures(signature)
    for name, drawing in figures.items():
        write_whole(out / f"{name}.svg", plain_colours(drawing).encode(), "an atlas")
    people = set(table.column("patient_id").tolist())
    text = page_templates(words=words).get_template("atlas.html.j2").render(
        **page_parts(_STYLES, None, chosen.now),
        counts={"films": len(table), "patients": len(people), "features": len(table.names)},
        groups=_counted(groups_of(table)),
        signature=signature,
        figures=[Markup(drawing) for drawing in figures.values()],  # noqa: S704 - our own drawings
        sections=sections,
        zones=[zone.replace("_", " ") for zone in ZONES],
        radius=chosen.radius,
    )  # fmt: skip
    write_whole(out / "atlas.html", text.encode("utf-8", "replace"), "an atlas")
    return out / "atlas.html"


def write_sheet(
    table: SignatureTable, shelf: FilmShelf, image_id: str, out: Path, options: AtlasOptions | None = None
) -> Path:
    """Write one film's texture sheet.

    Parameters
    ----------
    table : SignatureTable
    shelf : FilmShelf
    image_id : str
    out : Path
        Folder; gets ``film.html``.
    options : AtlasOptions or None

    Returns
    -------
    Path
        The page.

    Raises
    ------
    TableError
        If the film is not in the table or the reference has fewer than ten films of other patients.
    OutputError
        If the folder cannot be written.
    """
    chosen = options or AtlasOptions()
    rows = reference_rows(table, image_id, chosen.reference_label, chosen.reference_source)
    placed = film_places(table, image_id, rows)
    odd = unusual(placed, _SHOWN_UNUSUAL)
    usual = choose_shown(table, chosen.features, [], chosen.most)
    row = table.column("image_id").tolist().index(image_id)
    far = sum(not 2.5 <= one.percentile <= 97.5 for one in placed)  # noqa: PLR2004 - the middle 95 %
    figures = [
        (title, Markup(drawing))  # noqa: S704 - our own drawing
        for title, drawing in (
            ("Features of every class", places_figure("usual", film_places(table, image_id, rows, usual))),
            ("The most unusual features", places_figure("unusual", odd, distances=True)),
        )
        if drawing is not None
    ]
    picture = shelf.picture(image_id, "", 420, chosen.radius)[0]
    maps = []
    for one in odd:
        drawn, mapped = shelf.picture(image_id, one.feature, chosen.side, chosen.radius)
        if mapped:
            maps.append({"picture": drawn, "title": feature_words(one.feature), "facts": [_placed_words(one)]})
        if len(maps) == 3:  # noqa: PLR2004 - a row of the page
            break
    text = page_templates(words=words).get_template("atlas_film.html.j2").render(
        **page_parts(_STYLES, None, chosen.now),
        film={"id": image_id, "label": table.column("label")[row], "source": table.column("source")[row]},
        reference={
            "films": len(rows), "patients": len(set(table.column("patient_id")[rows].tolist())),
            "label": chosen.reference_label, "source": chosen.reference_source,
            "groups": _counted([groups_of(table)[place] for place in rows.tolist()]),
        },
        measured=len(placed), far=far, expected=0.05 * len(placed),
        picture=picture, figures=figures, maps=maps,
        heat=_film_heat(table, image_id, rows, usual),
        zones=["lungs", *(zone.replace("_", " ") for zone in ZONES)],
        unusual=[(one, feature_words(one.feature), feature_code(one.feature)) for one in odd],
    )  # fmt: skip
    write_whole(out / "film.html", text.encode("utf-8", "replace"), "a texture sheet")
    return out / "film.html"


def _section(
    table: SignatureTable,
    shelf: FilmShelf,
    feature: str,
    *,
    number: int,
    options: AtlasOptions,
    signature: FoundSignature | None,
) -> dict[str, Any]:
    cards, groups = [], groups_of(table)
    films = choose_films(table, feature)
    for one in films:
        name = str(table.column("image_id")[one.row])
        picture, mapped = shelf.picture(name, feature, options.side, options.radius)
        cards.append({
            "place": one.place, "value": f"{one.value:.4g}", "id": name, "group": groups[one.row].replace("_", " "),
            "picture": picture, "mapped": mapped,
        })  # fmt: skip
    effect = None if signature is None else next((one for one in signature.effects if one.feature == feature), None)
    figure = spread_figure(f"spread-{number}", spreads(table, feature), [(one.place, one.value) for one in films])
    return {
        "name": feature,
        "title": feature_words(feature),
        "code": feature_code(feature),
        "family": split_name(feature)[2],
        "cards": cards,
        "mapped": any(card["mapped"] for card in cards),
        "effect": None if effect is None else _effect_words(effect),
        "figure": None if figure is None else Markup(figure),  # noqa: S704 - our own drawing
        "zones": [
            {"group": row.group.replace("_", " "), "films": row.films, "cells": [_cell(mean) for mean in row.means]}
            for row in zone_rows(table, feature)
        ],
    }


def _film_heat(table: SignatureTable, image_id: str, rows: Any, features: Sequence[str]) -> list[dict[str, Any]]:
    """Distances of a film from the reference by feature (rows) and region (columns)."""
    found = []
    for feature in features:
        rest = feature.partition(".")[2]
        names = [f"{region}.{rest}" for region in ("lungs", *ZONES)]
        placed = {
            one.feature: one.z for one in film_places(table, image_id, rows, [n for n in names if n in table.names])
        }
        found.append(
            {"title": feature_words(feature).rpartition(",")[0], "cells": [_cell(placed.get(n)) for n in names]}
        )
    return found


def _cell(value: float | None) -> dict[str, Any]:
    """Table cell: its words, and a step from -4 to 4 that the style sheet colours."""
    if value is None or not np.isfinite(value):
        return {"text": "\u2013", "step": ""}
    return {"text": f"{value:+.1f}".replace("-", "\u2212"), "step": str(int(np.clip(round(2 * value), -4, 4)))}


def _counted(groups: Sequence[str]) -> list[tuple[str, int]]:
    return [(name.replace("_", " "), list(groups).count(name)) for name in sorted(set(groups))]


def _effect_words(effect: Effect) -> str:
    parts = []
    if effect.g is not None and effect.g_low is not None and effect.g_high is not None:
        parts.append(f"Hedges' g {effect.g:+.2f} ({effect.g_low:+.2f} to {effect.g_high:+.2f}) over all films")
    if effect.within_g is not None and effect.within_q is not None:
        parts.append(f"{effect.within_g:+.2f} within sources, q = {effect.within_q:.2g}")
    return "; ".join(parts)


def _placed_words(one: Any) -> str:
    return f"{one.percentile:.0f}th percentile, {one.z:+.1f} standard deviations"


def _signature_figures(signature: FoundSignature) -> dict[str, str]:
    kept = set(signature.kept)
    drawn = {
        "signature-forest": effect_forest(signature.effects, kept),
        "signature-volcano": volcano_figure(signature.effects, kept),
    }
    return {name: drawing for name, drawing in drawn.items() if drawing is not None}
