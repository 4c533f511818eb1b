"""One self-contained page of films with their heatmaps and readings (M4, M23, M34).

The page calls no other host and runs only the one script in it, which its content security policy names by its hash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from carina.report.html import page_parts, page_templates, write_whole
from carina.report.pictures import film_picture, heat_layers, heatmap_picture, lung_layer, opacity_layer
from carina.report.readings import FilmReading, Readings, read_readings

__all__ = ["PageOptions", "words", "words_inside", "write_page"]

_WORDS = {
    "normal": "Normal",
    "bacterial": "Bacterial pneumonia",
    "viral": "Viral pneumonia",
    "covid19": "COVID-19 pneumonia",
    "pneumonia": "Pneumonia",
    "pneumonia_non_covid19": "Pneumonia, not COVID-19",
    "pneumonia_indeterminate": "Pneumonia, kind undetermined",
    "refused": "Not judged",
    "uncalibrated": "No decision: model not calibrated",
    "covid19_given_pneumonia": "COVID-19, if pneumonia",
    "bacterial_given_pneumonia": "Bacterial, if pneumonia",
    "bacterial_given_pneumonia_without_covid19": "Bacterial, if pneumonia but not COVID-19",
}
_CORRECTIONS = {
    "inverted": "black and white were swapped back",
    "rotated_90_clockwise": "turned a quarter clockwise",
    "rotated_90_counterclockwise": "turned a quarter counter-clockwise",
    "rotated_180": "turned upside down",
}


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What the page shows.

    Attributes
    ----------
    title : str
        Heading.
    start, most : int
        First film shown, from 1, and how many: each takes some 40 kB.
    side : int
        Longest side of a film on the page, pixels.
    now : datetime or None
        Date printed; the present when left out.
    """

    title: str = "Chest film readings"
    start: int = 1
    most: int = 500
    side: int = 448
    now: datetime | None = None


def write_page(
    folder: Path,
    out: Path,
    options: PageOptions = PageOptions(),
    *,
    done: Callable[[int], None] | None = None,
) -> Readings:
    """Write the page of a folder of readings.

    Parameters
    ----------
    folder : Path
        Output folder of `carina predict`.
    out : Path
        HTML file; replaced whole or not at all.
    options : PageOptions
    done : callable, optional
        Called with the number of films finished.

    Returns
    -------
    Readings
        What the page shows.

    Raises
    ------
    TableError
        If the folder holds no readings.
    OutputError
        If the page cannot be written.
    """
    readings = read_readings(folder, start=options.start, most=options.most)
    cards = []
    for count, reading in enumerate(readings.shown, start=1):
        cards.append(_card(reading, options.start + count - 1, folder, options.side))
        if done is not None:
            done(count)
    text = _render(readings, cards, options)
    # A file name that is not UTF-8 on disk is shown with question marks.
    write_whole(out, text.encode("utf-8", "replace"), "the page")
    return readings


def _render(readings: Readings, cards: list[dict[str, Any]], options: PageOptions) -> str:
    """Fill the template; every value is escaped there."""
    order = sorted(readings.decisions.items(), key=lambda item: (item[0] == "refused", -item[1], item[0]))
    return (
        page_templates()
        .get_template("page.html.j2")
        .render(
            title=options.title,
            **page_parts(("page.css",), "page.js", options.now),
            models=_models(readings.shown),
            counts=[{"key": key, "word": words(key), "count": count} for key, count in order],
            total=readings.total,
            unreadable=readings.unreadable,
            first=options.start,
            last=options.start + len(cards) - 1,
            cards=cards,
        )
    )


def words(name: str) -> str:
    """Class, contrast or decision in words.

    Examples
    --------
    >>> words("covid19"), words("lung_abscess")
    ('COVID-19 pneumonia', 'Lung abscess')
    """
    known = _WORDS.get(name)
    if known is not None:
        return known
    spaced = name.replace("_", " ").strip()
    return spaced[:1].upper() + spaced[1:]


def _models(shown: tuple[FilmReading, ...]) -> list[str]:
    """Name the models that made the readings, each once."""
    found: dict[str, None] = {}
    for reading in shown:
        if isinstance(reading.model, dict):
            parts = (reading.model.get("name"), reading.model.get("version"), str(reading.model.get("sha256", ""))[:12])
            found[" ".join(str(part) for part in parts if part)] = None
        elif reading.model:
            found[reading.model] = None
    return list(found)


def _card(reading: FilmReading, number: int, folder: Path, side: int) -> dict[str, Any]:
    """Gather what the template says about one film."""
    best = max(reading.probabilities.values(), default=0.0)
    allowed = set(reading.prediction_set or ())
    film, layers = film_picture(reading, folder, side), heat_layers(reading, folder)
    quality, shows = reading.quality, reading.heatmap_shows
    return {
        "number": number,
        "id": f"film-{number}",
        "name": Path(reading.file).name or reading.file,
        "file": reading.file,
        "decision": "refused" if reading.refused else str(reading.decision),
        "word": "Not judged" if reading.refused else words(str(reading.decision)),
        "reason": None
        if reading.refused or reading.reason is None
        else words_inside(reading.reason, reading.contrasts),
        "refusal": reading.refusal,
        "code": reading.error.code if reading.error is not None else None,
        "film": film,
        "heatmap": None if film is not None and layers else heatmap_picture(reading, folder, side),
        "layers": [
            {"word": words(name), "picture": picture, "shown": shows is not None and name == shows.of}
            for name, picture in layers.items()
        ],
        "overlays": _overlays(reading, folder) if film is not None else [],
        "boxes": _boxes(reading) if film is not None else None,
        "lung_flags": reading.lungs_found.flags if reading.lungs_found is not None else (),
        "opaque": [
            {"word": words(zone), "percent": _percent(share)}
            for zone, share in reading.opaque_share.items()
            if share is not None
        ],
        "heatmap_of": None if shows is None else words(shows.of),
        "heatmap_blank": shows is not None and shows.maximum == 0,
        "at_prevalence": [
            {"word": words(name), "percent": _percent(value)}
            for name, value in reading.probabilities_at_prevalence.items()
        ],
        "bars": [
            {
                "word": words(name),
                "value": value,
                "percent": _percent(value),
                "top": value == best,
                "possible": name in allowed,
            }
            for name, value in reading.probabilities.items()
        ],
        "set": None if reading.prediction_set is None else [words(name) for name in reading.prediction_set],
        "contrasts": [
            {"word": words(name), "percent": _percent(value)}
            for name, value in reading.contrasts.items()
            if value is not None
        ],
        "corrected": [_CORRECTIONS.get(name, name.replace("_", " ")) for name in quality.corrected] if quality else [],
        "seconds": reading.seconds,
    }


def _overlays(reading: FilmReading, folder: Path) -> list[dict[str, str]]:
    """Layers of the film that can be switched on and off, beside the heatmap."""
    found = {"Lungs": lung_layer(reading, folder), "Opacity": opacity_layer(reading, folder)}
    return [{"word": name, "picture": picture} for name, picture in found.items() if picture is not None]


def _boxes(reading: FilmReading) -> dict[str, Any] | None:
    """Boxes as shapes on a canvas of the film's size."""
    size = reading.film
    if not reading.boxes or size is None or size.rows is None or size.columns is None:
        return None
    return {
        "columns": size.columns,
        "rows": size.rows,
        "line": max(size.rows, size.columns) / 150,
        "shapes": [
            {**box.model_dump(), "word": words(box.zone) if box.zone else "outside the lung fields"}
            for box in reading.boxes
        ],
    }


def words_inside(sentence: str, names: Iterable[str]) -> str:
    """Put the names of classes and contrasts inside a sentence into words.

    Examples
    --------
    >>> words_inside("covid19_given_pneumonia 0.93 is at or above 0.80", ["covid19_given_pneumonia"])
    '\u201cCOVID-19, if pneumonia\u201d 0.93 is at or above 0.80'
    """
    known = sorted(names, key=len, reverse=True)
    if not known:
        return sentence
    found = "|".join(map(re.escape, known))
    # One pass, for the words put in hold names themselves.
    return re.sub(rf"(?<![\w-])(?:{found})(?![\w-])", lambda match: f"\u201c{words(match[0])}\u201d", sentence)


def _percent(value: float) -> str:
    """Percentage without false certainty.

    Examples
    --------
    >>> _percent(0.9996), _percent(0.123), _percent(0.0002)
    ('> 99.9 %', '12.3 %', '< 0.1 %')
    """
    if value >= 0.9995:  # noqa: PLR2004 - would round to 100
        return "> 99.9 %"
    if value < 0.0005:  # noqa: PLR2004 - would round to 0
        return "< 0.1 %"
    return f"{100 * value:.1f} %"
