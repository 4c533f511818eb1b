"""The page of `carina explain`: what was found, the figures, and the worst films (M3)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import FilmRejectedError, OutputError
from carina.evidence import Estimate, Explanation, findings
from carina.evidence.film_record import FilmRecord
from carina.imaging import read_film
from carina.inference import normalise_map
from carina.report.explain_figures import draw_figures
from carina.report.html import data_uri, page_parts, page_templates
from carina.report.page import words
from carina.report.pictures import paired_picture
from carina.sampling import FilmTable

__all__ = ["worst_films", "write_explain_page"]

_SIDE = 300
_WORST, _TYPICAL = 8, 4
_LUNG_COLOUR, _BOX_COLOUR = (120, 220, 255), (255, 214, 70)
_CAPTIONS = {
    "lungs": "Where the class map's mass lies, by group, with 95 % intervals by patient.",
    "boxes": "Readers' boxes: the class map (and box branch, if there is one) beside boxes drawn without looking.",
    "deletion_insertion": "Probability of the class while pixels go, and while they come, in three orders.",
    "shuffled_weights": "What is left of the map when the network forgets, layer by layer. It should fall to the band.",
    "stability": "How alike maps are that should be alike, and the level of two unrelated films.",
}


def write_explain_page(explanation: Explanation, table: FilmTable, out: Path, *, now: datetime | None = None) -> Path:
    """Write the figures and one page that needs no other file.

    Parameters
    ----------
    explanation : Explanation
    table : FilmTable
        Whose films are shown.
    out : Path
        Folder; gets ``explain.html`` and ``figures/*.png``.
    now : datetime or None
        Date printed; the present when left out.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    drawn = draw_figures(explanation)
    text = _render(explanation, table, drawn, now)
    page = out / "explain.html"
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        for name, content in drawn.items():
            (out / "figures" / f"{name}.png").write_bytes(content)
        page.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise OutputError(
            f"the page must go to a folder that can be written; {str(out)!r}: {error.strerror}"
        ) from error
    return page


def worst_films(explanation: Explanation) -> list[tuple[str, list[FilmRecord]]]:
    """Films to be shown: the worst by lungs and by boxes, and typical ones, so that the worst can be judged.

    Returns
    -------
    list of tuple
        Heading and films; a heading without films is left out.
    """
    lungs = sorted(
        (record for record in explanation.records if "lung_share" in record.values),
        key=lambda record: record.values["lung_enrichment"],
    )
    boxed = sorted(
        (record for record in explanation.records if record.boxes is not None),
        key=lambda record: record.values.get("box_share", 0.0),
    )
    middle = max(0, len(lungs) // 2 - _TYPICAL // 2)
    groups = [
        (
            "Least of the map inside the lungs, where the model agrees with the label",
            [record for record in lungs if record.agreed][:_WORST],
        ),
        (
            "Least of the map inside the lungs, where it does not",
            [record for record in lungs if not record.agreed][:_TYPICAL],
        ),
        ("Least of the map inside a reader's box", boxed[:_WORST]),
        (
            "Flat maps: nothing spoke for the class",
            [record for record in explanation.records if record.flat][:_TYPICAL],
        ),
        ("Lungs not believed", [record for record in explanation.records if record.flags][:_TYPICAL]),
        ("Typical films, for comparison", lungs[middle : middle + _TYPICAL] if len(lungs) > _WORST else []),
    ]
    return [(heading, films) for heading, films in groups if films]


def _render(explanation: Explanation, table: FilmTable, drawn: dict[str, bytes], now: datetime | None) -> str:
    return (
        page_templates()
        .get_template("explain.html.j2")
        .render(
            **page_parts(("page.css", "explain.css"), now=now),
            model=" ".join(explanation.model.values()),
            counts=explanation.counts,
            options=explanation.options,
            framing=explanation.framing,
            findings=findings(explanation),
            figures=[(data_uri(content, "png"), _CAPTIONS[name]) for name, content in drawn.items()],
            films=[
                (heading, [_card(record, table) for record in films]) for heading, films in worst_films(explanation)
            ],
            tables=_tables(explanation),
            notes=explanation.notes,
        )
    )


def _card(record: FilmRecord, table: FilmTable) -> dict[str, Any]:
    values = record.values
    facts = [f"P({words(record.shown)}) {record.probability:.2f}"]
    if "lung_share" in values:
        facts.append(
            f"{100 * values['lung_share']:.0f} % inside the lungs, {values['lung_enrichment']:.2f} times their area"
        )
    if "box_share" in values:
        hit = "hit" if values["pointing"] >= 1 else "missed"
        facts.append(f"{100 * values['box_share']:.0f} % inside the boxes, pointing {hit}")
    return {
        "name": record.image_id,
        "source": record.source,
        "label": words(record.label),
        "facts": facts,
        "flags": list(record.flags),
        "picture": _picture(record, table),
    }


def _picture(record: FilmRecord, table: FilmTable) -> str | None:
    """Film with outlines beside film with class map; `None` where it can no longer be read."""
    try:
        pixels = read_film(table.paths[record.row]).pixels
    except FilmRejectedError:
        return None
    frame = record.view.frame
    if pixels.shape != (frame.rows, frame.columns):
        return None

    def draw(panel: NDArray[np.uint8], scale: float) -> None:
        _outline(panel, record.view.lungs, record, _LUNG_COLOUR)
        for x, y, width, height in [] if record.boxes is None else record.boxes * scale:
            corners = (round(x), round(y)), (round(x + width), round(y + height))
            cv2.rectangle(panel, *corners, _BOX_COLOUR, 2, cv2.LINE_AA)

    return paired_picture(pixels, frame.lay_out(normalise_map(record.raw)), _SIDE, draw)


def _outline(
    panel: NDArray[np.uint8], mask: NDArray[np.bool_] | None, record: FilmRecord, colour: tuple[int, int, int]
) -> None:
    if mask is None:
        return
    laid = record.view.frame.lay_out(mask.astype(np.float32))
    small = cv2.resize(laid, (panel.shape[1], panel.shape[0]), interpolation=cv2.INTER_AREA)
    outlines, _ = cv2.findContours((small >= 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)  # noqa: PLR2004 - half
    cv2.drawContours(panel, outlines, -1, colour, 1, cv2.LINE_AA)


def _tables(explanation: Explanation) -> list[dict[str, Any]]:
    """Every number with its interval, as tables of rows."""
    titles = {
        "lungs": "Class map and lung fields",
        "boxes": "Class map and readers' boxes",
        "perturbation": "Deletion and insertion",
        "occlusion": "Occlusion",
        "stability": "Stability",
        "randomised": "Shuffled weights",
    }
    tables = []
    for family, title in titles.items():
        rows = [
            {
                "group": _group(one.group),
                "what": one.sentence,
                "value": _value(one.estimate),
                "films": one.estimate.films,
                "patients": one.estimate.patients,
                "note": one.note,
            }
            for one in explanation.measures
            if one.family == family
        ]
        if rows:
            tables.append({"title": title, "rows": rows})
    found = [
        {
            "group": one.sentence,
            "what": what,
            "value": _value(estimate),
            "films": estimate.films,
            "patients": estimate.patients,
            "note": "",
        }
        for one in explanation.detectors
        for what, estimate in (
            *((f"average precision, IoU {iou:g}", estimate) for iou, estimate in one.average_precision.items()),
            *(
                (f"boxes found at {at:g} false boxes a film, IoU 0.3", estimate)
                for at, estimate in one.sensitivity.items()
            ),
        )
    ]
    return [*tables, {"title": "Boxes found", "rows": found}] if found else tables


def _value(estimate: Estimate) -> str:
    if estimate.estimate is None:
        return "not estimable"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.estimate:.3f}"
    return f"{estimate.estimate:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _group(name: str) -> str:
    known = {
        "sample": "films drawn",
        "costly": "films measured at length",
        "boxes": "films with boxes",
        "masks": "films with given masks",
        "agreed": "films drawn that the model calls so",
        "boxes_agreed": "films with boxes that the model calls so",
    }
    return known.get(name, name.replace("=", ": "))
