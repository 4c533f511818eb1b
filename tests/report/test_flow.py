"""The flow diagram: counts as text, well-formed, nothing fetched."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from carina.errors import OutputError
from carina.report.flow import flow_svg, write_flow

_SVG = "{http://www.w3.org/2000/svg}"


def _row(kind: str, code: str, films: int, sentence: str = "") -> dict[str, Any]:
    return {"kind": kind, "code": code, "sentence": sentence or code, "films": films, "patients": 2, "episodes": 1}


ROWS = [
    _row("stage", "archive", 1234567, "Films in the archive"),
    _row("exclusion", "refused", 1200, "The quality gate keeps <it> & that apart."),
    _row("exclusion", "no_time", 0, "The film has no time."),
    _row("stage", "cohort", 1233367, "Films of the cohort"),
    _row("class", "covid19", 3),
    _row("class", "normal", 1),
    _row("split", "train", 4),
]


def _texts() -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(flow_svg(ROWS)).iter(f"{_SVG}text")]  # noqa: S314 - our own drawing


def test_every_count_stands_as_text() -> None:
    texts = _texts()
    assert "1,234,567 films, 2 patients, 1 episode" in texts
    assert "1,200" in texts
    assert "The quality gate keeps <it> & that apart." in texts


def test_a_reason_that_excludes_none_is_not_drawn() -> None:
    assert not any("no time" in text for text in _texts())


def test_classes_stand_in_the_order_of_the_task_under_their_names() -> None:
    texts = _texts()
    assert texts.index("Normal") < texts.index("COVID-19") < texts.index("train")


def test_nothing_overlaps_or_leaves_the_picture() -> None:
    root = ET.fromstring(flow_svg(ROWS))  # noqa: S314 - our own drawing
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    boxes = [
        tuple(float(node.attrib[name]) for name in ("x", "y", "width", "height")) for node in root.iter(f"{_SVG}rect")
    ]
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
    for number, (x, y, w, h) in enumerate(boxes):
        for left, top, wide, high in boxes[number + 1 :]:
            assert x + w <= left or left + wide <= x or y + h <= top or top + high <= y


def test_the_picture_calls_no_host_and_follows_the_page_s_scheme() -> None:
    text = flow_svg(ROWS)
    assert text.count("http") == 1  # the namespace
    assert "<script" not in text
    assert "prefers-color-scheme:dark" in text


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the flow diagram must go where files can be written"):
        write_flow(ROWS, tmp_path / "none" / "flow.svg")
