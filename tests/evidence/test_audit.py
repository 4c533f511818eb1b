"""The shortcut audit, asked about networks whose shortcut is known because it is written here."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from carina.errors import InputError
from carina.evidence.audit import audit_films, write_audit
from carina.evidence.audit_films import AuditedFilms, Eye, observe
from carina.evidence.audit_outcome import Audit
from carina.evidence.shortcut_phantoms import phantom_task
from carina.evidence.viewing import Answer
from carina.imaging.lung_fields import LungFields
from carina.imaging.standardise import Standardisation
from carina.inference import Outputs
from carina.sampling import FilmTable
from carina.types import Array, Bytes

SIDE, FILMS = 64, 80
MASK = np.zeros((SIDE, SIDE), np.uint8)
MASK[12:52, 8:28], MASK[12:52, 36:56] = 1, 2
CORNER = np.s_[:8, :8]
LUNG = np.s_[20:30, 12:22]


def make_films(seed: int = 1, *, shortcut: bool = False) -> tuple[list[Array], list[str]]:
    """Films with a bright patch in the lung when ill, and with a shortcut a grey corner besides; all else noise."""
    rng = np.random.default_rng(seed)
    films, labels = [], []
    for number in range(FILMS):
        pixels = rng.random((SIDE, SIDE)).astype(np.float32)
        pixels[CORNER], pixels[LUNG] = 0.2 + 0.2 * rng.random(), 0.2 + 0.2 * rng.random()
        pixels[:, 32:34] = 1.0  # so that the grey scale is the same, lungs or none
        if number % 2:
            pixels[LUNG] += 0.3
            pixels[CORNER] += 0.3 * shortcut
        films.append(pixels)
        labels.append("covid19" if number % 2 else "normal")
    return films, labels


def reads(*places: tuple[slice, slice]) -> Callable[[Bytes], Answer]:
    """A network whose probability is the mean brightness of some places."""

    def judge(pictures: Bytes) -> Answer:
        bright = np.mean([pictures[:, *place].mean(axis=(1, 2)) for place in places], axis=0) / 255.0
        maps = np.ones((len(pictures), 2, 4, 4), np.float32)
        features = np.stack([bright, 1 - bright], axis=1).astype(np.float32)
        return Answer(np.stack([1 - bright, bright], axis=1), maps, (Outputs(features, maps, features),))

    return judge


def look(
    judge: Callable[[Bytes], Answer] | None,
    *,
    shortcut: bool = False,
    sources: Callable[[int], str] = lambda number: ("north", "south")[number // 2 % 2],
    films: int = FILMS,
    twins: int = 0,
) -> AuditedFilms:
    """Look at made films; the last `twins` are copies of the first."""
    pictures, labels = make_films(shortcut=shortcut)
    pictures[len(pictures) - twins :] = pictures[:twins]
    eye = Eye(phantom_task(), Standardisation(size=SIDE), judge)
    seen = [
        observe(pixels, LungFields(MASK), label, eye) for pixels, label in zip(pictures[:films], labels, strict=False)
    ]
    frame = pl.DataFrame(
        {
            "image_id": [f"film-{number}" for number in range(films)],
            "patient_id": [f"ZZZ-{number}" for number in range(films)],
            "label": labels[:films],
            "source": [sources(number) for number in range(films)],
        }
    )
    return AuditedFilms(FilmTable(frame, Path(), "0" * 64), eye.task, seen, has_model=judge is not None)


def outcome(audit: Audit, kind: str) -> str:
    """Outcome of a probe of the one contrast."""
    found = audit.probe(kind, "disease")
    assert found is not None
    return found.outcome


@pytest.fixture(scope="module")
def supported() -> Audit:
    """Audit of a network that reads the lungs, on films without a shortcut."""
    return audit_films(look(reads(LUNG)))


def test_a_network_that_reads_the_lungs_is_supported(supported: Audit) -> None:
    assert supported.verdict("disease").verdict == "supported"
    assert outcome(supported, "lungs_black") == "passed"
    assert [one.id for one in supported.probes if one.outcome == "failed"] == []


def test_a_network_that_reads_the_corner_is_not_supported() -> None:
    audit = audit_films(look(reads(CORNER), shortcut=True))
    verdict = audit.verdict("disease")
    assert verdict.verdict == "not supported"
    assert outcome(audit, "lungs_black") == outcome(audit, "border_only") == "failed"
    assert any("[lungs_black.disease]" in one for one in verdict.because)


def test_a_shortcut_in_the_films_that_alone_tells_the_class_leaves_nothing_shown() -> None:
    audit = audit_films(look(reads(LUNG), shortcut=True))
    assert outcome(audit, "lungs_black") == "passed"
    assert outcome(audit, "class_from_corners") == "failed"
    assert audit.verdict("disease").verdict == "not shown"


def test_one_source_hides_nothing_and_shows_nothing_of_others() -> None:
    audit = audit_films(look(reads(LUNG), sources=lambda _: "north"))
    assert outcome(audit, "source_table") == outcome(audit, "source_gap") == "not estimable"
    assert audit.verdict("disease").verdict == "supported"


def test_classes_that_never_share_a_source_are_not_shown() -> None:
    audit = audit_films(look(reads(LUNG), sources=lambda number: ("north", "south")[number % 2]))
    verdict = audit.verdict("disease")
    assert verdict.verdict == "not shown"
    assert any("no source has films of both sides" in one for one in verdict.because)
    gap = audit.probe("source_gap", "disease")
    assert gap is not None
    assert gap.sentence == "no source has both sides: the AUC within a source is not estimable"


def test_constant_predictions_are_not_shown() -> None:
    def constant(pictures: Bytes) -> Answer:
        answer = reads(LUNG)(pictures)
        return Answer(np.full((len(pictures), 2), 0.5), answer.maps, answer.outputs)

    audit = audit_films(look(constant))
    assert outcome(audit, "as_it_is") == "failed"
    assert audit.verdict("disease").verdict == "not shown"


def test_ten_films_yield_a_sentence() -> None:
    audit = audit_films(look(reads(LUNG), films=10), refit=True)
    assert audit.verdict("disease").verdict == "not shown"
    assert {one.outcome for one in audit.probes if one.contrast} == {"not estimable"}
    assert "5 positive and 5 negative films are too few" in audit.verdict("disease").because[0]


def test_films_of_one_side_yield_a_sentence() -> None:
    found = look(reads(LUNG))
    audit = audit_films(
        AuditedFilms(
            found.table.with_frame(found.table.frame.with_columns(pl.lit("normal").alias("label"))),
            found.task,
            found.observations,
            has_model=True,
        )
    )
    assert audit.verdict("disease").verdict == "not shown"


def test_without_a_model_the_films_alone_are_described() -> None:
    audit = audit_films(look(None, shortcut=True), refit=True)
    assert {one.describes for one in audit.probes} == {"data"}
    assert outcome(audit, "refit_border_only") == "failed"
    verdict = audit.verdict("disease")
    assert (verdict.verdict, verdict.because[0]) == ("not shown", "no model was asked: these probes describe the films")


def test_copies_under_other_patients_are_listed_and_leave_nothing_shown() -> None:
    audit = audit_films(look(reads(LUNG), twins=2))
    probe = audit.probe("near_duplicates")
    assert probe is not None
    assert (probe.outcome, probe.measured["pairs"].value) == ("failed", 2.0)
    assert {one["image_id"] for one in audit.films_listed} == {"film-0", "film-1"}
    assert audit.verdict("disease").verdict == "not shown"


def test_an_audit_is_read_as_it_was_written(supported: Audit, tmp_path: Path) -> None:
    report, rows = write_audit(supported, tmp_path)
    assert Audit.from_json(report).to_dict() == supported.to_dict()
    assert len(rows.read_text("utf-8").splitlines()) > len(supported.probes)


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"schema": 2})])
def test_what_is_no_audit_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"an audit must be the audit\.json"):
        Audit.from_json(text)


def test_a_contrast_never_asked_is_not_shown() -> None:
    assert audit_films(look(reads(LUNG), films=10)).verdict("other").verdict == "not shown"


@pytest.mark.slow
@pytest.mark.timeout(900)  # trains twenty networks; a machine that is shared takes several times as long
def test_planted_shortcuts_are_found_and_clean_cohorts_pass() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "audit_validation.py"
    spec = importlib.util.spec_from_file_location("audit_validation", path)
    assert spec is not None
    assert spec.loader is not None
    validation = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = validation  # its dataclasses look their module up
    spec.loader.exec_module(validation)
    pool = validation.phantom_pool(300_000, 220)
    clean = [validation.run_case(validation.Case(seed, None, 0.5), pool) for seed in range(300, 310)]
    planted = [
        validation.run_case(validation.Case(seed, validation.SHORTCUTS[seed % 4], 1.0), pool)
        for seed in range(310, 320)
    ]
    assert sum(line["verdict"] == "supported" for line in clean) >= 9
    assert sum(line["found"] for line in planted) >= 9
