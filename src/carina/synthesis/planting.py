"""Identifiers where they hide: further header elements, private tags, nested sequences, overlays, pixels, raw bytes.

What is planted where is written to ``truth/identifiers.csv``, so that a search for leaks can be tested against it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from carina.synthesis.plans import FilmPlan

__all__ = ["plant", "plant_bytes"]

_TALL = 12  # pixels of a 256-pixel film's text, cap height


def plant(ds: FileDataset, plan: FilmPlan) -> None:
    """Plant the plan's identifiers in a dataset whose pixels are still plain.

    Parameters
    ----------
    ds : pydicom.FileDataset
        Changed in place.
    plan : FilmPlan
        Its `plants` name the places.
    """
    for name in sorted(plan.plants):
        if name in _PLANTERS:
            _PLANTERS[name](ds, plan)


def plant_bytes(content: bytes, plan: FilmPlan) -> bytes:
    """Plant identifiers outside the dataset: in the 128 bytes before ``DICM`` (PS3.10 7.1)."""
    if "preamble" not in plan.plants:
        return content
    words = f"{plan.person.nhi} {plan.person.surname} {plan.person.given}".encode()[:128]
    return words.ljust(128, b"\0") + content[128:]


def _other_ids(ds: FileDataset, plan: FilmPlan) -> None:
    item = Dataset()
    item.PatientID, item.IssuerOfPatientID, item.TypeOfPatientID = plan.person.nhi, "NHI", "TEXT"
    ds.OtherPatientIDsSequence = Sequence([item])
    ds.OtherPatientNames = f"{plan.person.surname}^{plan.person.given}"
    ds.PatientMotherBirthName = f"ZZMOTHER^{plan.person.surname}"


def _comments(ds: FileDataset, plan: FilmPlan) -> None:
    ds.ImageComments = f"NHI {plan.person.nhi}, born {plan.person.birth:%d/%m/%Y}"
    ds.PatientComments = f"Lives at {plan.person.address}"


def _request(ds: FileDataset, plan: FilmPlan) -> None:
    person = plan.person
    inner = Dataset()
    inner.CodeValue, inner.CodingSchemeDesignator = "CXR", "99SYNTH"
    inner.CodeMeaning = f"Chest film of {person.given} {person.surname}"
    item = Dataset()
    item.RequestedProcedureID = plan.accession
    item.AccessionNumber = plan.accession
    item.RequestedProcedureDescription = f"{person.surname} {person.nhi}"
    item.ReasonForTheRequestedProcedure = plan.request[:64]
    item.RequestedProcedureCodeSequence = Sequence([inner])
    ds.RequestAttributesSequence = Sequence([item])


def _private_text(ds: FileDataset, plan: FilmPlan) -> None:
    block = ds.private_block(0x0009, "SYNTHETIC PACS", create=True)
    block.add_new(0x01, "LO", f"{plan.person.surname}^{plan.person.given}")
    block.add_new(0x02, "LT", f"NHI {plan.person.nhi} phone {plan.person.phone}")


def _private_binary(ds: FileDataset, plan: FilmPlan) -> None:
    block = ds.private_block(0x0019, "SYNTHETIC DETECTOR", create=True)
    words = f"\x01\x02{plan.person.nhi}\x00{plan.person.birth:%Y%m%d}\x00"
    block.add_new(0x10, "OB", words.encode() + b"\0" * (len(words) % 2))
    block.add_new(0x11, "UN", f"{plan.person.surname} {plan.accession}".encode("utf-16-le"))


def _private_nested(ds: FileDataset, plan: FilmPlan) -> None:
    inner = Dataset()
    inner.PatientName = f"{plan.person.surname}^{plan.person.given}"
    deep = inner.private_block(0x0029, "SYNTHETIC NESTED", create=True)
    deep.add_new(0x01, "SH", plan.person.nhi)
    outer = Dataset()
    outer.ReferencedPatientSequence = Sequence([inner])
    block = ds.private_block(0x0029, "SYNTHETIC PACS", create=True)
    block.add_new(0x20, "SQ", Sequence([outer]))


def _overlay(ds: FileDataset, plan: FilmPlan) -> None:
    """Overlay plane with the patient's number drawn in its bits (PS3.3 C.9.2)."""
    rows, columns = int(ds.Rows), int(ds.Columns)
    plane = np.zeros((rows, columns), np.uint8)
    _write(plane, [plan.person.nhi, plan.person.surname], (0.3, 0.5), 1)
    bits = np.packbits(plane.ravel(), bitorder="little").tobytes()
    ds.add_new((0x6000, 0x0010), "US", rows)
    ds.add_new((0x6000, 0x0011), "US", columns)
    ds.add_new((0x6000, 0x0022), "LO", f"Label of {plan.person.surname}")
    ds.add_new((0x6000, 0x0040), "CS", "G")
    ds.add_new((0x6000, 0x0050), "SS", [1, 1])
    ds.add_new((0x6000, 0x0100), "US", 1)
    ds.add_new((0x6000, 0x0102), "US", 0)
    ds.add_new((0x6000, 0x1500), "LO", plan.person.nhi)
    ds.add_new((0x6000, 0x3000), "OW", bits + b"\0" * (len(bits) % 2))


def _burnt(ds: FileDataset, plan: FilmPlan) -> None:
    """Text in the pixels themselves, white on the dark corner, as a film printer writes it."""
    film = np.frombuffer(ds.PixelData, "<u2").reshape(int(ds.Rows), int(ds.Columns)).copy()
    white = 0 if ds.PhotometricInterpretation == "MONOCHROME1" else (1 << int(ds.BitsStored)) - 1
    lines = [plan.person.nhi, f"{plan.person.surname}"]
    height = len(lines) * round(_LINE * _TALL * film.shape[0] / 256) + 4
    film[-height:, : film.shape[1] * 3 // 4] = (1 << int(ds.BitsStored)) - 1 - white
    _write(film, lines, (0.02, 1 - height / film.shape[0]), white)
    ds.PixelData = film.tobytes()


_LINE = 1.5


def _write(
    plane: NDArray[np.uint8] | NDArray[np.uint16], lines: list[str], place: tuple[float, float], value: int
) -> None:
    """Write lines from a place (column, row as shares of the side) downwards, in plain letters."""
    rows, columns = plane.shape
    tall = _TALL * rows / 256
    sheet = np.zeros((rows, columns), np.uint8)
    for number, line in enumerate(lines):
        # OpenCV's fonts have no macrons.
        text = line.translate(str.maketrans("ĀĒĪŌŪ", "AEIOU"))
        at = (round(place[0] * columns), round(place[1] * rows + (number + 1) * _LINE * tall))
        cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, tall / 21.5, 255, max(1, round(tall / 11)), cv2.LINE_AA)
    plane[sheet > 110] = value  # noqa: PLR2004 - the stroke's core


def _padding(ds: FileDataset, plan: FilmPlan) -> None:
    """Fill the data set's trailing padding (PS3.10 7.2)."""
    words = f"{plan.person.nhi} {plan.person.surname} "
    ds.add_new((0xFFFC, 0xFFFC), "OB", words.encode() + b"\0" * (len(words.encode()) % 2))


def _meta(ds: FileDataset, plan: FilmPlan) -> None:
    """Private information of the file meta group (PS3.10 7.1)."""
    ds.file_meta.PrivateInformationCreatorUID = UID("2.25.329800735698586629295641978511506172918")
    words = f"NHI={plan.person.nhi} "
    ds.file_meta.PrivateInformation = words.encode() + b"\0" * (len(words) % 2)
    ds.file_meta.SourceApplicationEntityTitle = plan.person.nhi


def _icon(ds: FileDataset, plan: FilmPlan) -> None:
    """Icon of the film with the number written over it (PS3.3 C.7.6.1.1.6)."""
    side = 64
    picture = np.zeros((side, side), np.uint8)
    cv2.putText(picture, plan.person.nhi, (2, 36), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1, cv2.LINE_AA)
    icon = Dataset()
    icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
    icon.Rows, icon.Columns = side, side
    icon.BitsAllocated, icon.BitsStored, icon.HighBit, icon.PixelRepresentation = 8, 8, 7, 0
    icon.PixelData = picture.tobytes()
    ds.IconImageSequence = Sequence([icon])


def _text_object(ds: FileDataset, plan: FilmPlan) -> None:
    """Free text of the series and the study, and names among the equipment that contributed."""
    person = plan.person
    ds.AdditionalPatientHistory = f"{person.given} {person.surname} was here before, see {person.nhi}"
    contributor = Dataset()
    contributor.Manufacturer = "Carina"
    contributor.ContactDisplayName = f"{person.given} {person.surname}"
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = "109103", "DCM", "Modifying Equipment"
    contributor.PurposeOfReferenceCodeSequence = Sequence([purpose])
    ds.ContributingEquipmentSequence = Sequence([contributor])
    ds.NamesOfIntendedRecipientsOfResults = f"{person.surname}^WHANAU"


_PLANTERS: dict[str, Callable[[FileDataset, FilmPlan], None]] = {
    "other_ids": _other_ids,
    "comments": _comments,
    "request": _request,
    "private_text": _private_text,
    "private_binary": _private_binary,
    "private_nested": _private_nested,
    "overlay": _overlay,
    "burnt": _burnt,
    "padding": _padding,
    "meta": _meta,
    "icon": _icon,
    "text_object": _text_object,
}
