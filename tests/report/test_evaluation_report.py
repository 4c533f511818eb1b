"""The report of an evaluation: whole by itself, every number as metrics.json has it, safe with hostile names."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from evaluated_run import audit, metrics, number, numbers, write_run

from carina.errors import InputError, OutputError, TableError
from carina.report import ReportOptions, make_report, read_run, render_report, write_pdf, write_report

NOW = datetime(2020, 8, 20, 9, 30, tzinfo=UTC)


@dataclass
class Shown:
    """One number as a browser would see it."""

    id: str
    texts: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """Collects tags, numbers and visible words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.numbers: list[Shown] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self._part = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if "num" in (given.get("class") or "").split():
            self.numbers.append(Shown(str(given["data-id"])))
        if tag == "data":
            self._part = str(given["data-part"])
            self.numbers[-1].values[self._part] = str(given["value"])
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "data":
            self.numbers[-1].texts.append(data)
        if self._open and self._open[-1] not in {"style", "script"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = write_run(tmp_path_factory.mktemp("run"))
    return Page(render_report(make_report(folder, ReportOptions(now=NOW))))


def _light(folder: Path, **changes: Any) -> Path:
    """A run without curves and subgroups, whose drawing takes seconds."""
    few = [one for one in numbers() if one["group"] != "subgroup"]
    return write_run(folder, **{"curves": {}, "numbers": few, **changes})


def _text(folder: Path) -> str:
    return render_report(make_report(folder, ReportOptions(now=NOW)))


def test_every_number_shown_is_that_of_metrics_json(page: Page) -> None:
    stored = {one["id"]: one for one in numbers()}
    assert len(page.numbers) > len(stored)  # each in the table of all, many elsewhere besides
    for shown in page.numbers:
        for part, value in shown.values.items():
            assert float(value) == stored[shown.id][part], shown.id


def test_printed_text_of_a_number_is_its_value_rounded(page: Page) -> None:
    for shown in page.numbers:
        for value, text in zip(shown.values.values(), shown.texts, strict=True):
            plain = text.replace("\u2212", "-")
            if plain.startswith((">", "<")):
                continue
            if plain.endswith("%"):
                assert float(plain.removesuffix("%")) == pytest.approx(100 * float(value), abs=0.0501), shown.id
            else:
                assert float(plain) == pytest.approx(float(value), abs=0.000501), shown.id


def test_every_number_of_metrics_json_is_in_the_table_of_all(page: Page) -> None:
    from carina.report.evaluation_words import anchor  # noqa: PLC0415 - used here alone

    rows = {given.get("id") for tag, given in page.tags if tag == "tr"}
    assert {anchor(one["id"]) for one in numbers()} <= rows


def test_every_link_leads_somewhere_on_the_page(page: Page) -> None:
    ids = {given["id"] for _, given in page.tags if given.get("id")}
    for tag, given in page.tags:
        href = given.get("href") or ""
        if tag == "a":
            assert href.removeprefix("#") in ids or href == "films.parquet", href


def test_ids_are_unique(page: Page) -> None:
    ids = [given["id"] for _, given in page.tags if given.get("id")]
    assert len(ids) == len(set(ids))


def test_page_asks_no_other_host_and_uses_no_inline_style(page: Page) -> None:
    for _, given in page.tags:
        for name in ("src", "action", "data", "poster", "srcset"):
            assert (given.get(name) or "data:image/").startswith("data:image/")
        assert "style" not in given
        assert not any(name.startswith("on") for name in given)


def test_verdict_stands_beside_every_headline_contrast(page: Page) -> None:
    for contrast in ("COVID-19, if pneumonia", "Bacterial, if pneumonia"):
        assert contrast in page.text
    badges = [
        given["data-verdict"] for tag, given in page.tags if (given.get("class") or "") == "badge" and tag == "span"
    ]
    assert {"supported", "not supported", "not shown"} == set(badges)
    assert "The audit does not support the numbers of this contrast as a measure of the disease." in page.text


def test_the_summary_holds_back_what_the_audit_does_not_support(tmp_path: Path) -> None:
    text = _text(_light(tmp_path))
    tiles = text.partition('id="summary"')[2].partition("</section>")[0].split("<article")[1:]
    assert {tile.partition('data-verdict="')[2].partition('"')[0] for tile in tiles} >= {"supported", "not supported"}
    for tile in tiles:
        shown = "ppv" in tile or "sensitivity" in tile
        assert shown == ('data-verdict="supported"' in tile)
        assert ("Held back" in tile) != shown


def test_withheld_headlines_print_no_number(tmp_path: Path) -> None:
    kept = [
        {**one, "value": None, "low": None, "high": None, "note": "withheld: no shortcut audit"}
        if one["headline"]
        else one
        for one in numbers()
        if one["group"] != "subgroup"
    ]
    folder = _light(tmp_path, numbers=kept, audit=None)
    (folder / "audit" / "audit.json").unlink()
    found = Page(_text(folder))
    held = {one["id"] for one in kept if one["headline"]}
    assert all(not shown.values for shown in found.numbers if shown.id in held)
    assert "withheld: no shortcut audit" in found.text
    assert "No shortcut audit was made" in found.text


def test_an_empty_subgroup_is_said(page: Page) -> None:
    assert "not estimable: one class only" in page.text
    assert "3 subgroups" not in page.text  # one cell, three measures


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"' onmouseover='x"
    changed = [{**one, "cell": f"source={evil}", "note": evil} for one in numbers()[:1]]
    more = number(f"{evil}.auc", "subgroup", "auc", 0.7, contrast=evil, cell=f"sex={evil}", method=evil)
    run = metrics()
    run["gallery"][0].update(image_id=evil, label=evil, source=evil, reason=evil, probabilities={evil: 0.5})
    folder = write_run(
        tmp_path, curves={}, numbers=[*numbers()[1:9], *changed, more], gallery=run["gallery"], sentences=[evil]
    )
    hostile = audit()
    hostile["probes"][0].update(name=evil, sentence=evil, criterion=evil, outcome=evil)
    (folder / "audit" / "audit.json").write_text(json.dumps(hostile))
    found = Page(_text(folder))
    assert [tag for tag, _ in found.tags].count("script") == 1
    assert not any(name.startswith("on") for _, given in found.tags for name in given)


def test_a_film_that_is_gone_is_said(page: Page) -> None:
    assert "film file not found; name its folder with --data" in page.text


def test_a_film_is_shown_from_the_folder_given(tmp_path: Path) -> None:
    import cv2  # noqa: PLC0415 - used here alone
    import numpy as np  # noqa: PLC0415 - as above

    (tmp_path / "elsewhere" / "films").mkdir(parents=True)
    picture = np.tile(np.linspace(20, 250, 200, dtype=np.uint8), (200, 1))
    cv2.imwrite(str(tmp_path / "elsewhere" / "films" / "7.png"), picture)
    folder = write_run(tmp_path / "run")
    report = make_report(folder, ReportOptions(data=tmp_path / "elsewhere", now=NOW))
    assert report.gallery[0].picture is not None
    assert "no class map" in str(report.gallery[0].why)


def test_run_that_is_no_evaluation_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a report is made of a folder that `carina evaluate` wrote"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 0}, "must be of version 1"),
        ({"numbers": "none"}, "must list its numbers"),
        ({"numbers": [{"id": "a"}]}, "must have an id and a measure"),
        ({"numbers": [number("a", "contrast", "auc", 0.5), number("a", "contrast", "auc", 0.6)]}, "stands twice"),
        ({"numbers": [{**number("a", "contrast", "auc", 0.5), "value": "high"}]}, "must be a finite number"),
    ],
)
def test_broken_metrics_are_refused_in_a_sentence(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(TableError, match=said):
        read_run(write_run(tmp_path, **change))


def test_cut_off_metrics_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "metrics.json").write_text('{"schema": 1, "numbers": [')
    with pytest.raises(TableError, match="readable JSON"):
        read_run(tmp_path)


def test_a_run_without_numbers_still_gives_a_page(tmp_path: Path) -> None:
    folder = write_run(tmp_path, numbers=[], curves={}, confusion={}, gallery=[], audit=None, sentences=[])
    (folder / "audit" / "audit.json").unlink()
    text = Page(_text(folder)).text
    for said in (
        "there is no curve to draw",
        "there is no matrix",
        "no subgroup to show",
        "No audit lies beside this run",
    ):
        assert said in text


def test_predictions_without_a_model_still_give_a_page(tmp_path: Path) -> None:
    text = Page(_text(_light(tmp_path, model=None))).text
    assert "Predictions from a file" in text
    assert "no model is at hand" in text


def test_cohort_comes_first_in_the_flow(tmp_path: Path) -> None:
    folder, cohort = _light(tmp_path / "run"), tmp_path / "cohort"
    cohort.mkdir()
    (cohort / "cohort.json").write_text(json.dumps({"rules": {"eligibility": {}}, "sentences": ["Rule one."]}))
    lines = [
        "kind,stage,code,sentence,films,patients,episodes",
        "stage,archive,archive,Films in the archive,900,800,820",
    ]
    (cohort / "flow.csv").write_text("\n".join(lines) + "\n")
    text = Page(render_report(make_report(folder, ReportOptions(cohort=cohort, now=NOW)))).text
    assert "900 films, 800 patients, 820 episodes" in text
    assert text.index("Films in the archive") < text.index("Films of the table")
    assert "Rule one." in text


def test_a_folder_without_a_cohort_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--cohort names a folder"):
        make_report(write_run(tmp_path), ReportOptions(cohort=tmp_path))


def test_files_are_written_whole_and_leave_no_part_behind(tmp_path: Path) -> None:
    folder = _light(tmp_path)
    written = write_report(make_report(folder, ReportOptions(now=NOW)))
    assert [path.name for path in written] == ["report.html", "checklists.json", "MODEL_CARD.md"]
    assert not list(folder.glob(".*"))
    (folder / "file").write_text("")
    with pytest.raises(OutputError, match="a report must go where files can be written"):
        write_report(make_report(folder, ReportOptions(now=NOW)), folder / "file" / "report.html")


def test_model_card_says_what_the_page_says(tmp_path: Path) -> None:
    folder = _light(tmp_path)
    write_report(make_report(folder, ReportOptions(now=NOW)))
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    assert "Not a medical device" in card
    assert "- **COVID-19, if pneumonia: not supported.**" in card
    by_id = {one["id"]: one for one in numbers()}
    rows = re.findall(r"\| (\d+\.\d) % \((?:[\d.]+) % to (?:[\d.]+) %\) \|[^|]*\| `([^`]+)` \|", card)
    assert rows
    for text, identity in rows:
        assert float(text) == pytest.approx(100 * by_id[identity]["value"], abs=0.0501)


def test_paper_has_light_colours_no_script_and_no_table_of_all_numbers(tmp_path: Path) -> None:
    paper = render_report(make_report(_light(tmp_path), ReportOptions(now=NOW)), paper=True)
    assert "var(--" not in paper.partition("</style>")[2]
    assert 'class="numbers every"' not in paper
    assert "<script" not in paper


@pytest.mark.slow
def test_pdf_is_written(tmp_path: Path) -> None:
    pytest.importorskip("weasyprint", reason="the PDF needs the extra 'report' and the system's Pango")
    path = write_pdf(make_report(_light(tmp_path), ReportOptions(now=NOW)), tmp_path / "report.pdf")
    assert path.read_bytes().startswith(b"%PDF-")


def test_names_inside_sentences_stand_in_words(tmp_path: Path) -> None:
    folder = _light(tmp_path, sentences=["covid19_given_pneumonia is called at 0.500"])
    told = re.sub(r"<[^>]+>", " ", _text(folder).partition('id="summary"')[2].partition('id="headline"')[0])
    assert "\u201cCOVID-19, if pneumonia\u201d is called at 0.500" in told
    assert "covid19_given_pneumonia" not in told


def test_a_withheld_confusion_says_so_and_shows_no_count(tmp_path: Path) -> None:
    held = {"classes": ["normal", "covid19"], "withheld": "withheld: no shortcut audit of covid19_given_pneumonia"}
    text = _text(_light(tmp_path, confusion=held)).partition('id="confusion"')[2].partition("</section>")[0]
    assert "withheld: no shortcut audit" in text
    assert "<table" not in text


def test_people_stand_by_part_and_suppressed_levels_are_said(tmp_path: Path) -> None:
    age = {"known": 20, "median": 61.0, "quartiles": [48.0, 72.0]}
    one = {"label": "all", "films": 30, "patients": 20, "age": age, "levels": {"sex": {"F": 15, "X": None}}}
    told = {"parts": [{"part": "judged", **one}, {"part": "train", **one}], "sentences": ["a first film counts"]}
    text = _text(_light(tmp_path, characteristics=told)).partition('id="characteristics"')[2].partition("</table>")[0]
    cells = re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", text)
    assert cells[1:3] == ["Judged", "Train"]
    assert cells[cells.index("female") + 1] == "15 (75 %)"
    assert cells[cells.index("X") + 1] == "suppressed"
    assert "61 (48 to 72), n = 20" in cells
