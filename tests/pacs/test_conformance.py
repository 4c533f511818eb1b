"""The conformance statement says what the node does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the node needs the extra 'pacs'")

from pydicom.uid import UID
from pynetdicom import AE, PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

from carina.pacs.receiving import TRANSFER_SYNTAXES, add_contexts
from carina.pacs.results import RESULT_CLASSES
from carina.service import FILM_CLASSES
from carina.settings import PacsSettings

PAGE = (Path(__file__).resolve().parents[2] / "docs/conformance.md").read_text("utf-8")


def _uids(heading: str, column: str) -> list[str]:
    """UIDs of the table under a heading whose first column has a name, in order."""
    section = PAGE.partition(f"{heading}\n")[2].partition("\n#")[0]
    table = section.partition(f"| {column} | UID |\n")[2].partition("\n\n")[0]
    return re.findall(r"\| ([\d.]+) \|", table)


def test_the_classes_of_films_are_those_that_the_node_offers() -> None:
    entity = AE()
    add_contexts(entity)
    offered = {str(each.abstract_syntax) for each in entity.supported_contexts}
    services = {"1.2.840.10008.1.1", "1.2.840.10008.1.20.1"}  # Verification, Storage Commitment (PS3.6 annex A)
    assert _uids("### Films taken (Storage SCP)", "SOP class") == [str(each) for each in FILM_CLASSES]
    assert offered == {*_uids("### Films taken (Storage SCP)", "SOP class"), *services}
    assert all(each in PAGE for each in services)


def test_the_transfer_syntaxes_are_those_that_the_node_takes_in_its_order() -> None:
    assert _uids("### Films taken (Storage SCP)", "transfer syntax") == [str(each) for each in TRANSFER_SYNTAXES]


def test_the_classes_of_results_are_those_that_are_made() -> None:
    assert _uids("### Results sent (Storage SCU)", "SOP class") == [str(each) for each in RESULT_CLASSES.values()]


def test_names_of_classes_are_those_of_the_standard() -> None:
    found = re.findall(r"^\| ([^|]*(?:Storage|Information Model)[^|]*) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert len(found) == len(FILM_CLASSES) + len(RESULT_CLASSES) + 3
    assert [UID(uid).name for _, uid in found] == [name for name, _ in found]


def test_limits_and_identity_are_those_of_the_node() -> None:
    pacs = PacsSettings()
    for said in (
        f"{PYNETDICOM_IMPLEMENTATION_UID} |",
        f"{PYNETDICOM_IMPLEMENTATION_VERSION} |",
        f"{pacs.pdu_bytes} bytes",
        f"{pacs.object_bytes} bytes",
        f"{pacs.associations} (`associations`), of one address {pacs.associations_per_address}",
        f"{pacs.acse_seconds:g} s (`acse_seconds`)",
        f"{pacs.idle_seconds:g} s (`idle_seconds`)",
        f"{pacs.retry_seconds:g} s, doubled each time up to {pacs.retry_longest_seconds / 60:g} min",
    ):
        assert said in PAGE, said
