"""The page of two evaluations side by side."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from carina.cli.main import app
from carina.errors import OutputError
from carina.evidence.sharing_compare import compare_evaluations
from carina.report.comparison_page import comparison_sheets, write_comparison

_CONTRAST = "covid19_given_pneumonia"


def _number(measure: str, **changes: object) -> dict[str, Any]:
    own = {"id": f"{_CONTRAST}.{measure}", "group": "contrast", "contrast": _CONTRAST, "measure": measure}
    return own | {"cell": "all", "level": 0.95, "films_used": "first_films", **changes}


def _folder(path: Path, name: str, *numbers: dict[str, Any], **changes: object) -> Path:
    path.mkdir()
    own = {"task": "pneumonia", "model": {"model_sha256": "a" * 64}, "numbers": list(numbers)}
    (path / name).write_text(json.dumps(own | changes))
    return path


@pytest.fixture
def page(tmp_path: Path) -> str:
    first = _folder(
        tmp_path / "north",
        "aggregates.json",
        _number("auc", value=0.9, low=0.85, high=0.93, n=200),
        _number("ppv", value=None, note="suppressed"),
        suppressed_below=10,
        patients_in_tens=200,
        held_back=1,
        audit={_CONTRAST: "not supported"},
    )
    second = _folder(
        tmp_path / "local",
        "metrics.json",
        _number("auc", value=0.7004, low=0.6, high=0.8, n=60),
        _number("ppv", value=0.5, low=0.4, high=0.6, n=40),
        _number("npv", value=None, note="withheld: no shortcut audit"),
    )
    out = tmp_path / "page.html"
    write_comparison(compare_evaluations(first, second), out, names=("north", "local"))
    return out.read_text("utf-8")


def test_every_number_carries_its_id_and_its_exact_value(page: str) -> None:
    shown = re.findall(r'data-id="([\w.]+)"[^>]*><data value="([\d.]+)" data-part="value">([^<]+)<', page)
    assert shown == [
        (f"{_CONTRAST}.auc", "0.9", "0.900"),
        (f"{_CONTRAST}.auc", "0.7004", "0.700"),
        (f"{_CONTRAST}.ppv", "0.5", "50.0 %"),
    ]


def test_suppressed_withheld_and_missing_are_three_things(page: str) -> None:
    cells = re.findall(r'<span class="none">([^<]+)</span>', page)
    assert cells.count("suppressed") == 1
    assert cells.count("withheld: no shortcut audit") == 1
    assert cells.count("not there") == 1


def test_a_difference_is_of_second_less_first(page: str) -> None:
    # Zou and Donner: 0.7004 - 0.9 = -0.1996; below hypot(0.1004, 0.03), above hypot(0.0996, 0.05)
    assert re.search(r">\u22120.200</data> <span class=\"ci\">\u22120.304 to \u22120.088<", page)


def test_each_side_has_its_verdict_and_the_page_says_what_is_not_suppressed(page: str) -> None:
    assert re.findall(r'data-verdict="([^"]+)"', page.partition("</style>")[2]) == ["not supported", "not audited"]
    assert "Small cells of local are not suppressed" in page
    assert "200 or more" in page


def test_contrasts_stand_in_words_once(page: str) -> None:
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert _CONTRAST not in text
    assert "\u201cCOVID-19, if pneumonia\u201d: not supported" in text


def test_the_page_asks_no_host_and_runs_no_script(page: str) -> None:
    assert "script-src &#39;none&#39;" in page
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    one = _folder(tmp_path / "a", "metrics.json", _number("auc", value=None, note="<script>alert(1)</script>"))
    other = _folder(tmp_path / "b", "metrics.json")
    text = write_comparison(compare_evaluations(one, other), tmp_path / "x.html", names=("<b>", "b")).read_text("utf-8")
    assert "<script" not in text
    assert "<b>" not in text.partition("</h1>")[0]


def test_a_class_of_no_contrast_comes_last(tmp_path: Path) -> None:
    one = _folder(tmp_path / "a", "metrics.json", _number("share", contrast=None, value=0.2), _number("auc", value=0.5))
    sheets = comparison_sheets(compare_evaluations(one, one))
    assert [sheet.title for sheet in sheets] == ["COVID-19, if pneumonia", "All classes"]


def test_where_no_file_can_be_written_is_said(tmp_path: Path) -> None:
    one = _folder(tmp_path / "a", "metrics.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="comparison must go where files can be written"):
        write_comparison(compare_evaluations(one, one), tmp_path / "file" / "x.html")


def test_the_verb_writes_the_page_and_names_the_two_by_their_folders(tmp_path: Path) -> None:
    first = _folder(tmp_path / "north", "metrics.json", _number("auc", value=0.5))
    second = _folder(tmp_path / "south", "metrics.json", _number("auc", value=0.6))
    made = CliRunner().invoke(app, ["share", "compare", str(first), str(second), "--html", str(tmp_path / "c.html")])
    assert made.exit_code == 0, made.output
    assert "<h1>north and south, side by side</h1>" in (tmp_path / "c.html").read_text("utf-8")


def test_of_the_same_films_it_is_said_that_the_two_are_not_independent(tmp_path: Path) -> None:
    table = {"sha256": "c" * 64, "patients": 40}
    one = _folder(tmp_path / "a", "metrics.json", _number("auc", value=0.5), table=table)
    other = _folder(tmp_path / "b", "metrics.json", _number("auc", value=0.6), table=table)
    sentences = compare_evaluations(one, other).sentences
    assert any("not independent" in said for said in sentences)
