"""Search every stored byte for identifiers of the linked records: the proof that removal worked (M6, M7)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from PIL import Image

from carina.deidentify.burned_in import grey_views
from carina.deidentify.document import Document
from carina.deidentify.identity import find_printed_nhis
from carina.deidentify.needles import BIRTH, Needles, Target, ascii_lower, date_of, folded
from carina.deidentify.ocr import has_tesseract, read_words
from carina.deidentify.pixel_text import PixelText
from carina.deidentify.sqlite_file import MAGIC, finds_between_cells
from carina.deidentify.stores import documents
from carina.errors import FilmRejectedError, RemovalError
from carina.imaging.dicom import open_dicom, stored_samples
from carina.imaging.quiet import quiet
from carina.settings import Limits
from carina.types import Bytes

__all__ = ["Leak", "Verifier", "verify_removal"]

_BATCH: Final = 64 * 1024 * 1024
_AROUND: Final = 48
_NEAR: Final = 300
_LEAST_RAW: Final = 7
_LIMITS: Final = Limits()
_PSEUDONYM: Final = re.compile(r"(?<![A-Z0-9])P[A-Z2-7]{16}(?![A-Z0-9])")
_LONG_RUN: Final = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
_TOKENS: Final = frozenset({"nhi", "mrn", "accession", "event", "specimen"})
_GREY_BITS: Final = 16


@dataclass(frozen=True, slots=True)
class Leak:
    """An identifier that was found again, or something that could not be searched.

    Attributes
    ----------
    store : str
        Where it stands; never the identifier itself.
    kind : str
        Kind of the identifier; ``nhi_shape`` for any text of an NHI's shape, ``problem`` for what cannot be searched.
    patient_id : str
        Pseudonym of the patient; several patients, or none that is known, give ``""``.
    how : str
        In what it was found: ``text``, ``bytes``, ``pixels``, or why it could not be searched.
    """

    store: str
    kind: str
    patient_id: str
    how: str


class Verifier:
    """Searches documents for identifiers; many at a time, for building the search costs more than searching.

    Parameters
    ----------
    identifiers : iterable of (str, str, str)
        Pseudonym, kind and value, as `Linkage` gives them.
    ocr : bool
        Whether pixels are read too.

    Raises
    ------
    RemovalError
        If pixels are to be read and tesseract is not installed.
    """

    def __init__(self, identifiers: Iterable[tuple[str, str, str]], *, ocr: bool = True) -> None:
        if ocr and not has_tesseract():
            raise RemovalError(
                "to prove that no identifier is left in pixels they must be read, and tesseract is not installed; "
                "install tesseract-ocr"
            )
        self.needles = Needles(identifiers)
        self.documents = 0
        self.bytes = 0
        self.pictures = 0
        self._ocr = ocr
        self._pixels = PixelText(self.needles)
        self._patterns = list(self.needles.patterns)
        self._waiting: list[Document] = []
        self._waiting_bytes = 0

    def add(self, store: str, data: bytes) -> Iterator[Leak]:
        """Search a store's bytes; what is found may come with a later call, the rest with `finish`.

        Parameters
        ----------
        store : str
            What to call it in a leak.
        data : bytes

        Yields
        ------
        Leak
        """
        for document in documents(store, data):
            if document.kind == "problem":
                yield Leak(document.where, "problem", "", document.data.decode("utf-8", "replace"))
            elif document.kind == "picture":
                yield from self._read(document)
            else:
                self.documents += 1
                self.bytes += len(document.data)
                self._waiting.append(document)
                self._waiting_bytes += len(document.data)
        if self._waiting_bytes >= _BATCH:
            yield from self.finish()

    def finish(self) -> Iterator[Leak]:
        """Search what is waiting."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if not waiting:
            return
        found = self._found([document.data.translate(None, b"\0").decode("latin-1") for document in waiting])
        for document, (text, hits) in zip(waiting, found, strict=True):
            yield from _once(self._judged(document, text, hits))

    def _found(self, texts: list[str]) -> Iterator[tuple[bytes, list[tuple[int, str]]]]:
        """Give each text as UTF-8, and the patterns in it with their offsets.

        Polars searches for all at once (Aho and Corasick 1975, doi:10.1145/360825.360855).
        """
        series = pl.Series(texts, dtype=pl.String)
        if not self._patterns:
            for text in texts:
                yield text.encode("utf-8"), []
            return
        places = series.str.find_many(self._patterns, ascii_case_insensitive=True, overlapping=True).to_list()
        with_hits = [number for number, one in enumerate(places) if one]
        matched = series.gather(with_hits).str.extract_many(
            self._patterns, ascii_case_insensitive=True, overlapping=True
        )
        named = dict(zip(with_hits, matched.to_list(), strict=True))
        for number, text in enumerate(texts):
            yield text.encode("utf-8"), list(zip(places[number] or [], named.get(number, []), strict=True))

    def _judged(self, document: Document, text: bytes, hits: list[tuple[int, str]]) -> Iterator[Leak]:
        joins: frozenset[tuple[int, str]] | None = None
        for offset, match in hits:
            target = self.needles.targets[self.needles.patterns[ascii_lower(match)]]
            end = offset + len(match.encode("utf-8"))
            before, after = text[max(0, offset - _AROUND) : offset], text[end : end + _AROUND]
            if not _counts(target, _latin(before), match, _latin(after), in_text=document.kind == "text"):
                continue
            if document.data.startswith(MAGIC):
                joins = self._joins(document.data, text, hits) if joins is None else joins
                if (offset, match) in joins:
                    continue
            yield Leak(document.where, target.kind, _one(target.patients), document.kind)
        if document.kind == "text":
            plain = document.data.decode("utf-8", "replace")
            yield from self._births(document.where, plain)
            if find_printed_nhis(_LONG_RUN.sub(" ", plain)):
                yield Leak(document.where, "nhi_shape", "", "text")

    def _joins(self, data: bytes, text: bytes, hits: list[tuple[int, str]]) -> frozenset[tuple[int, str]]:
        """Give the finds in an SQLite file that live cells beside each other make up, and none of them holds.

        What a live cell holds is found in its row. Here only what stands between the whole of one cell and the whole
        of the next is let go, byte for byte; the same letters anywhere else, as in a freed page, still count.
        """
        between = finds_between_cells(data, self._found)
        return frozenset(
            (offset, match)
            for offset, match in hits
            for before, after in between.get(match, ())
            if text.startswith(before + match.encode("utf-8") + after, max(0, offset - len(before)))
        )

    def _births(self, where: str, text: str) -> Iterator[Leak]:
        """Dates of birth after a word for birth: of the patient whose pseudonym stands near, or of anybody."""
        for match in BIRTH.finditer(text):
            owners = {owner for day in date_of(match["date"]) for owner in self.needles.births.get(day, ())}
            if not owners:
                continue
            line, stop = text.rfind("\n", 0, match.start()) + 1, text.find("\n", match.end())
            start = max(line, match.start() - _NEAR)
            end = min(stop if stop >= 0 else len(text), match.end() + _NEAR)
            near = set(_PSEUDONYM.findall(text[start:end])) & self.needles.patients
            if not near or near & owners:
                yield Leak(where, "birth_date", _one(tuple(sorted(near & owners or owners))), "text")

    def _read(self, document: Document) -> Iterator[Leak]:
        """Read the pixels of a picture."""
        if not self._ocr:
            return
        try:
            views = _views(document.data)
        except (FilmRejectedError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            yield Leak(document.where, "problem", "", "is a picture whose pixels cannot be decoded")
            return
        self.pictures += 1
        for grey in views:
            for line in read_words(grey):
                for kind, patients in self._pixels.found(line):
                    yield Leak(document.where, kind, _one(patients), "pixels")


def verify_removal(
    stores: Iterable[tuple[str, bytes | Path]],
    identifiers: Iterable[tuple[str, str, str]],
    *,
    ocr: bool = True,
    progress: Callable[[int], None] | None = None,
) -> list[Leak]:
    """Search stores for identifiers of the linked records.

    Files are unwrapped: zip, gzip, bzip2, xz, deflate, tar, PDF, SQLite, Parquet, Arrow, DICOM (deflated and
    compressed too), PNG text, base64. Text is searched in ASCII, UTF-8, Latin-1, UTF-16 and UTF-32, pixels by OCR.

    Parameters
    ----------
    stores : iterable of (str, bytes or Path)
        Name and content, or a file to read.
    identifiers : iterable of (str, str, str)
        Pseudonym, kind and value.
    ocr : bool
        Whether pixels are read.
    progress : callable, optional
        Called with the number of stores done.

    Returns
    -------
    list of Leak
        Empty when nothing was found and everything could be searched.

    Raises
    ------
    RemovalError
        If pixels are to be read and tesseract is not installed.

    Examples
    --------
    >>> known = [("PAAA", "nhi", "ZZZ0016")]
    >>> verify_removal([("note.txt", b"seen by nobody")], known, ocr=False)
    []
    >>> verify_removal([("note.txt", b"see zzz0016")], known, ocr=False)
    [Leak(store='note.txt', kind='nhi', patient_id='PAAA', how='text')]
    """
    verifier = Verifier(identifiers, ocr=ocr)
    leaks: list[Leak] = []
    for number, (name, content) in enumerate(stores, start=1):
        try:
            data = content if isinstance(content, bytes) else content.read_bytes()
        except OSError:
            leaks.append(Leak(name, "problem", "", "cannot be read"))
            continue
        leaks += verifier.add(name, data)
        if progress is not None:
            progress(number)
    leaks += verifier.finish()
    return list(_once(leaks))


def _once(leaks: Iterable[Leak]) -> Iterator[Leak]:
    yield from dict.fromkeys(leaks)


def _one(patients: tuple[str, ...]) -> str:
    return patients[0] if len(patients) == 1 else ""


def _latin(text: bytes) -> str:
    """Bytes around a find, read as UTF-8 where they are it."""
    raw = text.decode("utf-8", "ignore").encode("latin-1", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _counts(target: Target, before: str, match: str, after: str, *, in_text: bool) -> bool:
    """Whether a find is the identifier, and not a part of something else."""
    if target.partners or target.kind in ("name", "staff"):
        return _is_name(target, before, after, in_text=in_text)
    if target.kind in ("uid", "phone"):
        return not (before[-1:].isdigit() or after[:1].isdigit() or re.match(r"\.\d", after))
    if target.kind in _TOKENS:
        if in_text:
            return not (before[-1:].isalnum() or after[:1].isalnum())
        # in bytes chance makes letters of either case; identifiers are printed in capitals
        return len(match) >= _LEAST_RAW and match == match.upper()
    return True


def _is_name(target: Target, before: str, after: str, *, in_text: bool) -> bool:
    if in_text and (before[-1:].isalpha() or after[:1].isalpha()):
        return False
    following = re.match(r"[^\w]{1,3}|_", after)
    first = re.match(r"[^\W\d_]+", after[following.end() :]) if following else None
    preceding = re.search(r"([^\W\d_]+)(?:[^\w]{1,3}|_)$", before)
    beside = {folded(found) for found in (first[0] if first else "", preceding[1] if preceding else "") if found}
    if beside & target.partners:
        return True
    return in_text and target.alone


def _views(data: bytes) -> list[Bytes]:
    """8-bit pictures of a DICOM or picture file."""
    with quiet():
        if data[128:132] == b"DICM" or data[:2] == b"\x08\0":
            try:
                samples, bits, _ = stored_samples(open_dicom(data, _LIMITS), _LIMITS)
            except FilmRejectedError as error:
                if error.code == "no_pixels":
                    return []
                raise
            return grey_views(samples, bits)
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            deep = image.mode.startswith("I")
            pixels = np.asarray(image if deep else image.convert("L"))
    if deep:
        return grey_views(np.clip(pixels, 0, 65535).astype(np.uint16), _GREY_BITS)
    return grey_views(pixels, 8)
