"""Guidelines: whole, in the published numbering, met only with a link that leads somewhere."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from evaluated_run import numbers, write_run

from carina.report import ReportOptions, load_checklists, make_report, render_report, write_report
from carina.report.checklist_evidence import Evidence
from carina.report.checklist_proofs import PROOFS
from carina.report.checklists import fill_checklists
from carina.report.evaluation_run import read_run

NOW = datetime(2020, 8, 20, 9, 30, tzinfo=UTC)
BUNDLE: dict[str, Any] = {
    "network": {"name": "seed", "parameters": 10},
    "preprocessing": {"size": 64},
    "calibration": {"thresholds": {"pneumonia": {"low": 0.4}}, "class_mix": {"normal": 1.0}},
    "training": {
        "labels": {"train": {"east/normal": 9}, "test": {"east/normal": 3}},
        "split": {"shared_patients": 0},
        "films": {"patients": ["a"]},
    },
}


def _filled(folder: Path, **evidence: Any) -> dict[str, dict[str, Any]]:
    found = fill_checklists(Evidence(read_run(folder), **evidence))
    return {one.name: {item.id: item for item in one.items} for one in found}


def _of_one() -> list[dict[str, Any]]:
    """Numbers of one contrast: one forest plot to draw in place of three."""
    return [one for one in numbers() if one["contrast"] in {None, "covid19_given_pneumonia"}]


def _numbered(last: int) -> list[str]:
    return [str(place) for place in range(1, last + 1)]


def test_claim_has_the_44_items_of_its_2024_update() -> None:
    claim = load_checklists()[0]
    assert [item["id"] for item in claim["item"]] == _numbered(44)  # doi:10.1148/ryai.240300


@pytest.mark.parametrize(
    ("place", "last", "rows", "divided"),
    [
        # doi:10.1136/bmj-2023-078378, table 2
        (1, 27, 52, {"3": 3, "5": 2, "6": 3, "8": 3, "9": 3, "12": 7, "18": 6, "20": 3, "23": 2, "27": 3}),
        # doi:10.1038/s41591-025-03953-8, table 2
        (2, 40, 48, {"15": 4, "16": 3, "17": 2, "26": 2, "40": 2}),
    ],
)
def test_items_stand_in_the_published_numbering(place: int, last: int, rows: int, divided: dict[str, int]) -> None:
    ids = [item["id"] for item in load_checklists()[place]["item"]]
    wanted = []
    for number in _numbered(last):
        wanted += [f"{number}{letter}" for letter in "abcdefg"[: divided[number]]] if number in divided else [number]
    assert ids == wanted
    assert len(ids) == rows


def test_probast_has_16_questions_on_development_and_18_on_evaluation() -> None:
    ids = [item["id"] for item in load_checklists()[3]["item"]]  # doi:10.1136/bmj-2024-082505, abstract
    assert len([one for one in ids if one.startswith("D")]) == 16
    assert len([one for one in ids if one.startswith("E")]) == 18


def test_every_proof_named_exists_and_every_proof_is_named() -> None:
    named = {proof for one in load_checklists() for item in one["item"] for proof in item.get("shown_by", ())}
    assert named == set(PROOFS)


def test_met_items_have_links_and_others_none(tmp_path: Path) -> None:
    for items in _filled(write_run(tmp_path), bundle=BUNDLE).values():
        for item in items.values():
            assert bool(item.links) == (item.status == "met")
            assert bool(item.lacking) == (item.status == "NOT SHOWN")


def test_every_link_leads_to_a_place_on_the_page_or_a_file(tmp_path: Path) -> None:
    folder = write_run(tmp_path, curves={}, numbers=_of_one())
    (folder / "films.parquet").write_bytes(b"PAR1")
    report = make_report(folder, ReportOptions(now=NOW))
    ids = set(re.findall(r'\bid="([^"]+)"', render_report(report)))
    links = {link.href for one in report.checklists for item in one.items for link in item.links}
    assert "films.parquet" in links
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= ids


def test_a_headline_without_interval_takes_the_item_back(tmp_path: Path) -> None:
    assert _filled(write_run(tmp_path / "a"))["CLAIM 2024"]["29"].status == "met"
    bare = [{**one, "low": None, "high": None} if one["headline"] else one for one in numbers()]
    assert _filled(write_run(tmp_path / "b", numbers=bare))["CLAIM 2024"]["29"].status == "NOT SHOWN"


def test_withheld_headlines_meet_nothing(tmp_path: Path) -> None:
    held = [
        {**one, "value": None, "low": None, "high": None, "note": "withheld: no shortcut audit"} for one in numbers()
    ]
    filled = _filled(write_run(tmp_path, numbers=held))
    for guideline, item in (("CLAIM 2024", "38"), ("TRIPOD+AI", "23a"), ("STARD-AI", "31"), ("PROBAST+AI", "E4.7")):
        assert filled[guideline][item].status == "NOT SHOWN"


def test_external_test_needs_a_source_that_trained_nothing(tmp_path: Path) -> None:
    folder = write_run(tmp_path)  # sources east and west
    assert _filled(folder, bundle=BUNDLE)["CLAIM 2024"]["33"].status == "met"
    both = {**BUNDLE, "training": {**BUNDLE["training"], "labels": {"train": {"east/normal": 9, "west/normal": 1}}}}
    assert _filled(folder, bundle=both)["CLAIM 2024"]["33"].status == "NOT SHOWN"
    assert _filled(folder)["CLAIM 2024"]["33"].status == "NOT SHOWN"


def test_patients_in_two_parts_take_the_item_back(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    assert _filled(folder, bundle=BUNDLE)["CLAIM 2024"]["20"].status == "met"
    shared = {**BUNDLE, "training": {**BUNDLE["training"], "split": {"shared_patients": 1}}}
    assert _filled(folder, bundle=shared)["CLAIM 2024"]["20"].status == "NOT SHOWN"


def test_words_of_people_are_never_filled(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    cohort = {
        "rules": {name: {} for name in ("eligibility", "films", "gold", "codes", "episodes")},
        "splits": {"test": 1},
    }
    filled = _filled(folder, bundle=BUNDLE, cohort=cohort)
    for guideline, items in {
        "CLAIM 2024": ("40", "44"),
        "TRIPOD+AI": ("17", "18a", "26"),
        "STARD-AI": ("6", "38"),
    }.items():
        for item in items:
            assert filled[guideline][item].status == "for the authors"


def test_checklists_json_holds_what_the_page_shows(tmp_path: Path) -> None:
    folder = write_run(tmp_path, curves={}, numbers=[])
    report = make_report(folder, ReportOptions(now=NOW))
    write_report(report)
    stored = json.loads((folder / "checklists.json").read_text("utf-8"))
    assert [one["name"] for one in stored["guidelines"]] == ["CLAIM 2024", "TRIPOD+AI", "STARD-AI", "PROBAST+AI"]
    for one, shown in zip(stored["guidelines"], report.checklists, strict=True):
        assert sum(one["counts"].values()) == len(one["items"]) == len(shown.items)
        assert re.fullmatch(r"10\.\d{4,}/\S+", one["doi"])


def _people(*parts: str) -> dict[str, Any]:
    one = {"label": "all", "films": 30, "patients": 20, "age": None}
    levels = {"sex": {"F": 20}, "age": {"25 to <45": 20}, "view": {"PA": 20}}
    return {"parts": [{"part": part, **one, "levels": levels} for part in parts], "sentences": []}


def test_people_by_part_take_two_parts_that_tell_of_people(tmp_path: Path) -> None:
    item = _filled(write_run(tmp_path / "a", characteristics=_people("judged", "test")))["CLAIM 2024"]["36"]
    assert item.status == "NOT SHOWN"
    item = _filled(write_run(tmp_path / "b", characteristics=_people("judged", "train", "test")))["CLAIM 2024"]["36"]
    assert (item.status, item.links[0].href) == ("met", "#characteristics")


def test_a_planned_sample_size_is_linked(tmp_path: Path) -> None:
    planned = {"sentences": ["pneumonia: 300 films"], "found": ["300 films were planned"]}
    assert _filled(write_run(tmp_path / "a"))["CLAIM 2024"]["21"].status == "NOT SHOWN"
    item = _filled(write_run(tmp_path / "b", sample_size=planned))["CLAIM 2024"]["21"]
    assert (item.status, item.links[0].href) == ("met", "#sample-size")


@pytest.mark.parametrize(("told", "status"), [("true", "met"), ("shifted", "NOT SHOWN"), ("not told", "NOT SHOWN")])
def test_shifted_days_do_not_say_when_the_films_were_taken(tmp_path: Path, told: str, status: str) -> None:
    cohort = {"dates": {"told": told, "first": "2019-01-01", "last": "2020-01-01", "sentence": ""}}
    assert _filled(write_run(tmp_path), cohort=cohort)["TRIPOD+AI"]["5b"].status == status


def test_removal_of_identifiers_takes_a_search_without_leaks(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    for proof, status in (({"leaks": 0}, "met"), ({"leaks": 1}, "NOT SHOWN"), (None, "NOT SHOWN")):
        found = _filled(folder, cohort={"inputs": {"deidentified": proof}})
        assert found["CLAIM 2024"]["11"].status == status
