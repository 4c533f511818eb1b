"""Free-text reads (M13): sentences written for the test, each with the finding that a reader would give it."""

from __future__ import annotations

import polars as pl
import pytest

from carina.records import classify_report, classify_reports, report_agreement

PNEUMONIA = [
    "Right lower lobe consolidation with no effusion.",
    "No pneumothorax but there is consolidation at the left base.",
    "No change in the left basal consolidation.",
    "The consolidation has not resolved.",
    "Improving right sided pneumonia.",
    "Persistent airspace opacity in the right mid zone, in keeping with pneumonia.",
    "Consolidation, effusion has resolved.",
    "Heart size normal. No effusion.\nThere is dense consolidation in the lingula.",
    "Multifocal bilateral consolidation, worse than before.",
    "Impression: Bronchopneumonia.",
    "No effusion. Airspace disease right base consistent with infection.",
    "FINDINGS: Consolidated left lower lobe.",
    "Partial clearing of the right lower lobe consolidation, which remains visible.",
]
NONE = [
    "No focal consolidation, collapse or effusion.",
    "Lungs are clear.",
    "Clinical history: pneumonia.\nFindings: clear lungs.",
    "Clinical details: ?pneumonia. Findings: No consolidation.",
    "The previous consolidation has resolved.",
    "There is no longer any consolidation.",
    "No convincing evidence of pneumonia.",
    "No new consolidation.",
    "Appearances unlikely to represent pneumonia.",
    "Resolution of the right lower lobe pneumonia.",
    "Comparison: 1/1/2020, consolidation. Impression: Normal chest.",
    "The lungs are free of consolidation or infiltrate.",
    "Consolidation is not seen.",
    "Neither consolidation nor effusion.",
    "History of pneumonia in 2015. The lungs are clear.",
    "Bibasal atelectasis without consolidation.",
    "Complete clearing of the previous left basal consolidation.",
    "",
]
EQUIVOCAL = [
    "Pneumonia cannot be excluded.",
    "Possible early consolidation at the right base.",
    "?pneumonia",
    "Opacity at the left base may represent infection or atelectasis.",
    "Appearances are suspicious for pneumonia.",
    "Patchy opacity at the left base.",
    "Consolidation versus collapse at the left base.",
    "Infection is not excluded.",
    "Bilateral ground-glass opacities.",
]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        *((text, "pneumonia") for text in PNEUMONIA),
        *((text, "none") for text in NONE),
        *((text, "equivocal") for text in EQUIVOCAL),
    ],
)
def test_a_sentence_is_read_as_a_reader_would(text: str, finding: str) -> None:
    assert classify_report(text).finding == finding


def test_the_reason_names_the_term_and_no_passage() -> None:
    call = classify_report("Mr Testcase of Testville has right lower lobe consolidation.")
    assert call.reason == "consolidation: affirmed"


def test_one_affirmed_term_outweighs_doubts() -> None:
    assert classify_report("Possible infection at the left base. Consolidation on the right.").finding == "pneumonia"


def test_a_column_is_read_text_by_text() -> None:
    texts = [*PNEUMONIA, *NONE, *EQUIVOCAL, None, "   "]
    wanted = [classify_report(text).finding if text and text.strip() else None for text in texts]
    assert classify_reports(pl.Series(texts)).to_list() == wanted


def test_agreement_counts_every_cell() -> None:
    coded = pl.Series(["none", "none", "pneumonia", None, "equivocal", "pneumonia"])
    text = pl.Series([NONE[0], PNEUMONIA[0], PNEUMONIA[0], PNEUMONIA[0], NONE[0], None])
    agreement = report_agreement(coded, text)
    assert (agreement.reads, agreement.agreeing, agreement.proportion) == (4, 2, 0.5)
    assert agreement.counts.height == 9
    assert agreement.counts.filter(pl.col("reads") > 0).rows() == [
        ("none", "none", 1),
        ("none", "pneumonia", 1),
        ("pneumonia", "pneumonia", 1),
        ("equivocal", "none", 1),
    ]


def test_agreement_of_nothing_is_no_proportion() -> None:
    empty = pl.Series([], dtype=pl.String)
    assert report_agreement(empty, empty).proportion is None
