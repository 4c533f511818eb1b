"""The flow of films into a cohort as a diagram: one SVG file, its text as text, for light and dark pages (M8).

Stages run down the left, what is left out at each stands to the right, classes and splits at the foot. The file has no
script and calls no other host.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from carina.report.html import write_whole

__all__ = ["flow_svg", "light_colours", "write_flow"]

_WIDTH = 920
_LEFT, _STAGE_WIDTH = 20, 330
_RIGHT, _SIDE_WIDTH = 420, 480
_STAGE_HEIGHT = 64
_LINE = 19
_GAP = 22
_PAD = 14
_SIDE_LETTERS = 54
_NAMES = {
    "normal": "Normal",
    "bacterial": "Bacterial",
    "viral": "Viral",
    "covid19": "COVID-19",
    "pneumonia": "Pneumonia, any",
    "pneumonia_non_covid19": "Pneumonia, not COVID-19",
}
_ORDER = (*_NAMES, "train", "tune", "calibrate", "test")
_STYLE = """
:root{color-scheme:light dark;--ink:#1b2733;--soft:#5b6b7a;--line:#8796a5;--box:#f4f7f9;--edge:#b9c5cf;--key:#0b7285;
--keybox:#e6f4f6}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9fb0bf;--line:#74879a;--box:#1c2630;--edge:#3a4a59;
--key:#66d1e0;--keybox:#12343b}}
text{font:14px system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;fill:var(--ink)}
.title{font-size:18px;font-weight:600}.head{font-weight:600}.soft{fill:var(--soft);font-size:13px}
.count{font-variant-numeric:tabular-nums;text-anchor:end}.mid{text-anchor:middle}
rect{fill:var(--box);stroke:var(--edge);rx:6px}.key{fill:var(--keybox);stroke:var(--key)}
path{stroke:var(--line);fill:none;stroke-width:1.5}.tip{fill:var(--line);stroke:none}
"""


@dataclass
class _Drawing:
    """SVG elements gathered from top to bottom."""

    parts: list[str] = field(default_factory=list)
    y: int = 0

    def text(self, x: float, y: float, words: str, kind: str = "") -> None:
        name = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}"{name}>{escape(words)}</text>')

    def box(self, x: float, y: float, width: float, height: float, kind: str = "") -> None:
        name = f' class="{kind}"' if kind else ""
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"{name}/>')

    def down(self, x: float, top: float, bottom: float) -> None:
        self.parts.append(f'<path d="M{x:g} {top:g}V{bottom - 7:g}"/>')
        self.parts.append(f'<path class="tip" d="M{x - 5:g} {bottom - 8:g}h10l-5 8z"/>')

    def across(self, left: float, right: float, y: float) -> None:
        self.parts.append(f'<path d="M{left:g} {y:g}H{right - 7:g}"/>')
        self.parts.append(f'<path class="tip" d="M{right - 8:g} {y - 5:g}v10l8 -5z"/>')


def flow_svg(
    rows: Sequence[Mapping[str, Any]], *, title: str = "Flow of films into the cohort", styled: bool = True
) -> str:
    """Draw the flow of films.

    Parameters
    ----------
    rows : sequence of mapping
        In order, each with `kind` (``"stage"``, ``"exclusion"``, ``"class"``, ``"split"``), `code`, `sentence`,
        `films`, `patients`, `episodes`: the rows of `carina.cohort.Cohort.flow`. Exclusions stand before the stage
        they lead to. `patients` may be `None` where they are not known.
    title : str
        Empty for a diagram that stands below a heading.
    styled : bool
        Whether the file carries its own colours; a page that holds it in itself has them in its style sheet.

    Returns
    -------
    str
        SVG; reasons that exclude no film are not drawn.

    Examples
    --------
    >>> row = {"kind": "stage", "code": "archive", "sentence": "Films", "films": 3, "patients": 2, "episodes": 2}
    >>> "3 films, 2 patients, 2 episodes" in flow_svg([row])
    True
    """
    drawing = _Drawing(y=_PAD)
    if title:
        drawing.text(_LEFT, drawing.y + 18, title, "title")
        drawing.y += 40
    waiting: list[Mapping[str, Any]] = []
    first = True
    stages = [row for row in rows if row["kind"] == "stage"]
    for row in rows:
        if row["kind"] == "exclusion":
            waiting.append(row)
        elif row["kind"] == "stage":
            if not first:
                _draw_exclusions(drawing, [each for each in waiting if each["films"]])
            waiting, first = [], False
            _draw_stage(drawing, row, last=row is stages[-1])
    for kind, words in (("class", "By class"), ("split", "By split")):
        _draw_parts(drawing, sorted((row for row in rows if row["kind"] == kind), key=_rank), words)
    height = drawing.y + _PAD
    said = escape("; ".join(f"{row['sentence'].rstrip('.')}: {row['films']} films" for row in rows if row["films"]))
    style = f"<style>{_STYLE}</style>" if styled else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="flow-title flow-said"><title id="flow-title">{escape(title or "Flow of films")}'
        f'</title><desc id="flow-said">{said}</desc>{style}\n' + "\n".join(drawing.parts) + "\n</svg>\n"
    )


def light_colours(svg: str) -> str:
    """Diagram with the light colours as such, for paper: some printers of SVG know no CSS variable.

    Examples
    --------
    >>> "var(" in light_colours(flow_svg([]))
    False
    """
    light = dict(re.findall(r"--([a-z]+):(#[0-9a-f]{6})", _STYLE.partition("@media")[0]))
    style = re.sub(r"var\(--([a-z]+)\)", lambda found: light[found[1]], _STYLE.rpartition("}}\n")[2])
    return svg.replace(_STYLE, style)


def write_flow(rows: Sequence[Mapping[str, Any]], out: Path, *, title: str = "Flow of films into the cohort") -> None:
    """Write the diagram, whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_whole(out, flow_svg(rows, title=title).encode(), "the flow diagram", make_folder=False)


def _draw_stage(drawing: _Drawing, row: Mapping[str, Any], *, last: bool) -> None:
    drawing.box(_LEFT, drawing.y, _STAGE_WIDTH, _STAGE_HEIGHT, "key" if last else "")
    drawing.text(_LEFT + _PAD, drawing.y + 27, str(row["sentence"]), "head")
    drawing.text(_LEFT + _PAD, drawing.y + 48, _counted(row), "soft")
    drawing.y += _STAGE_HEIGHT


def _draw_exclusions(drawing: _Drawing, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw what is left out, beside the arrow to the next stage."""
    centre, top = _LEFT + _STAGE_WIDTH / 2, drawing.y
    if not rows:
        drawing.y += 2 * _GAP
        drawing.down(centre, top, drawing.y)
        return
    wrapped = [textwrap.wrap(str(row["sentence"]), _SIDE_LETTERS) for row in rows]
    height = 2 * _PAD + _LINE * (1 + sum(len(lines) for lines in wrapped)) - 2
    drawing.y += _GAP
    drawing.box(_RIGHT, drawing.y, _SIDE_WIDTH, height)
    drawing.across(centre, _RIGHT, drawing.y + height / 2)
    line = drawing.y + _PAD + 13
    drawing.text(_RIGHT + 92, line, "left out", "head")
    drawing.text(_RIGHT + 80, line, f"{sum(row['films'] for row in rows):,}", "head count")
    for row, lines in zip(rows, wrapped, strict=True):
        line += _LINE
        drawing.text(_RIGHT + 80, line, f"{row['films']:,}", "count soft")
        for number, words in enumerate(lines):
            line += _LINE if number else 0
            drawing.text(_RIGHT + 92, line, words, "soft")
    drawing.y += height + _GAP
    drawing.down(centre, top, drawing.y)


def _draw_parts(drawing: _Drawing, rows: Sequence[Mapping[str, Any]], words: str) -> None:
    """Draw the cohort's parts as a row of boxes, at most three abreast for long names."""
    if not rows:
        return
    drawing.y += _GAP + 6
    drawing.text(_LEFT, drawing.y + 12, words, "head")
    drawing.y += 24
    abreast = min(4, len(rows))
    width = (_WIDTH - 2 * _LEFT - (abreast - 1) * 12) / abreast
    for number, row in enumerate(rows):
        column = number % abreast
        if number and not column:
            drawing.y += _STAGE_HEIGHT + 12
        left = _LEFT + column * (width + 12)
        drawing.box(left, drawing.y, width, _STAGE_HEIGHT)
        drawing.text(left + _PAD, drawing.y + 27, _NAMES.get(str(row["code"]), str(row["code"])), "head")
        drawing.text(left + _PAD, drawing.y + 48, _counted(row, episodes=False), "soft")
    drawing.y += _STAGE_HEIGHT


def _counted(row: Mapping[str, Any], *, episodes: bool = True) -> str:
    words = [(row["films"], "film")]
    if row["patients"] is not None:
        words.append((row["patients"], "patient"))
    if episodes and row["episodes"]:
        words.append((row["episodes"], "episode"))
    return ", ".join(f"{count:,} {word}{'' if count == 1 else 's'}" for count, word in words)


def _rank(row: Mapping[str, Any]) -> tuple[int, str]:
    code = str(row["code"])
    return (_ORDER.index(code) if code in _ORDER else len(_ORDER), code)
