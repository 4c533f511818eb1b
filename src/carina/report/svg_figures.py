"""Matplotlib figures as SVG inside a page: text as text, colours of the page's scheme, nothing fetched.

A figure is drawn in the light palette. On a page each of its colours becomes a CSS variable of the page with the light
one to fall back on, so that one drawing serves light, dark and print. Style attributes become plain attributes, for
the page's content security policy allows no inline style.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

__all__ = [
    "BAND",
    "CHANCE",
    "GRID",
    "INK",
    "OWN",
    "PAPER",
    "SECOND",
    "SOFT",
    "THIRD",
    "draw_svg",
    "grid",
    "plain_colours",
]

# Okabe and Ito's palette (doi:10.1038/nmeth.1618) for what must be told apart; greys for the rest.
INK, SOFT, GRID, PAPER = "#16202b", "#51606f", "#dfe5ea", "#ffffff"
OWN, SECOND, THIRD, CHANCE, BAND = "#0072b2", "#d55e00", "#009e73", "#8b98a5", "#0072b3"
_VARIABLES = {
    INK: "--fig-ink",
    SOFT: "--fig-soft",
    GRID: "--fig-grid",
    PAPER: "--fig-paper",
    OWN: "--fig-own",
    SECOND: "--fig-second",
    THIRD: "--fig-third",
    CHANCE: "--fig-chance",
    BAND: "--fig-own",
}
_STYLE = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "text.color": INK,
    "svg.fonttype": "none",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
_SVG, _LINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
_KEPT = {
    *("fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-dashoffset"),
    *("stroke-linecap", "stroke-linejoin", "opacity", "text-anchor", "font-size", "font-weight", "font-style"),
}
_FONT = re.compile(r"(?:(?P<weight>bold|\d{3})\s+)?(?P<size>[\d.]+px)")
_MARK = "id:"


def draw_svg(
    name: str,
    size: tuple[float, float],
    paint: Callable[[Any], None],
    *,
    label: str,
    titles: dict[str, str] | None = None,
) -> str:
    """Draw one figure.

    Parameters
    ----------
    name : str
        Unique on the page; every id of the drawing begins with it.
    size : tuple of float
        Width and height, inches.
    paint : callable
        Gets the matplotlib figure and draws on it, in the colours of this module. An artist whose gid is
        ``"id:NUMBER"`` carries the number's id as ``data-id``.
    label : str
        What a screen reader says.
    titles : dict of str to str, optional
        By number id: text shown when the artist is pointed at.

    Returns
    -------
    str
        An ``<svg>`` element whose colours are CSS variables.
    """
    import matplotlib as mpl  # noqa: PLC0415 - of the extra 'study', and slow to load
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415 - as above
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _cleaned(file.getvalue(), name, label, titles or {})


def grid(axis: Any, which: str = "both") -> None:
    """Light grid behind the data, no tick marks."""
    axis.grid(visible=True, axis=which, color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(length=0)


def plain_colours(svg: str) -> str:
    """Drawing with the light palette in place of the page's variables, for paper.

    Examples
    --------
    >>> plain_colours('<path stroke="var(--fig-ink,#16202b)"/>')
    '<path stroke="#16202b"/>'
    """
    return re.sub(r"var\(--fig-[a-z]+,(#[0-9a-f]{6})\)", r"\1", svg)


def _cleaned(text: str, name: str, label: str, titles: dict[str, str]) -> str:
    root = ET.fromstring(text)  # noqa: S314 - matplotlib's own drawing, made a moment ago
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in {"metadata", "style"}:
                parent.remove(child)
    used = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", text))
    for node in root.iter():
        _plain_attributes(node, name, used, titles)
    box = root.get("viewBox", "0 0 100 100")
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "class": "figure", "role": "img", "aria-label": label})
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode")


def _plain_attributes(node: Any, name: str, used: set[str], titles: dict[str, str]) -> None:
    for part in node.attrib.pop("style", "").split(";"):
        key, _, value = (piece.strip() for piece in part.partition(":"))
        if key in _KEPT:
            node.set(key, value)
        elif key == "font" and (font := _FONT.match(value)) is not None:
            node.set("font-size", font["size"])
            if font["weight"]:
                node.set("font-weight", font["weight"])
    _name(node, name, used, titles)
    for key, value in list(node.attrib.items()):
        if key in {"fill", "stroke"} and value in _VARIABLES:
            node.set(key, f"var({_VARIABLES[value]},{value})")
        elif "url(#" in value:
            node.set(key, value.replace("url(#", f"url(#{name}-"))


def _name(node: Any, name: str, used: set[str], titles: dict[str, str]) -> None:
    """Keep the ids that something refers to, under the figure's name, and turn those of numbers into `data-id`."""
    identity = node.attrib.pop("id", None)
    if identity is not None and identity.startswith(_MARK):
        number = identity.removeprefix(_MARK)
        node.set("data-id", number)
        title = ET.Element(f"{{{_SVG}}}title")
        title.text = titles.get(number, number)
        node.insert(0, title)
    elif identity in used:
        node.set("id", f"{name}-{identity}")
    if _LINK in node.attrib:
        node.set("href", node.attrib.pop(_LINK).replace("#", f"#{name}-"))
