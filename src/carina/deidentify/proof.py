"""Folders and databases as stores to search, and the search in several processes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from carina.deidentify.linkage import Linkage
from carina.deidentify.stores import is_text
from carina.deidentify.verify import Leak, Verifier
from carina.errors import InputError

__all__ = ["Proof", "prove", "row_stores"]

_CHUNK: Final = 48
Store = tuple[str, "bytes | Path"]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a search came to.

    Attributes
    ----------
    identifiers : int
        Identifiers of the linked records.
    searched : int
        How many patterns they became; short and everyday ones are not searched for.
    stores, documents, bytes, pictures : int
        Files and rows; texts and byte strings unwrapped from them, with their sizes; pictures read by OCR.
    leaks : tuple of Leak
        Empty: nothing was found, and everything could be searched.
    """

    identifiers: int
    searched: int
    stores: int
    documents: int
    bytes: int
    pictures: int
    leaks: tuple[Leak, ...]


def prove(
    folder: Path,
    keys: Path,
    *,
    rows: Iterable[tuple[str, bytes]] = (),
    ocr: bool = True,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Proof:
    """Search every file of a folder, its name included, and the rows of a database.

    Parameters
    ----------
    folder : Path
    keys : Path
        Keys folder, whose linkage file says what must not be found.
    rows : iterable of (str, bytes)
        Cells of a database with their place, such as ``films[3].series_description``.
    ocr : bool
        Whether pixels are read.
    workers : int
        Processes.
    progress : callable, optional
        Called with the number of files done and of all.

    Returns
    -------
    Proof

    Raises
    ------
    InputError
        If the folder is missing, or nothing is linked: what is not known cannot be looked for.
    RemovalError
        If the linkage cannot be read, or pixels are to be read and tesseract is not installed.
    """
    if not folder.is_dir():
        raise InputError(f"a folder to search must exist; {str(folder)!r} does not")
    verifier = _verifier(keys, ocr=ocr)
    if not verifier.needles.count:
        raise InputError(
            f"what was removed must be known to be looked for; the linkage in {str(keys)!r} is empty: name the keys "
            "folder of this study, and take films or records in first"
        )
    leaks: list[Leak] = []
    stores = 0
    for name, data in row_stores(rows):
        leaks += verifier.add(name, data)
        stores += 1
    leaks += verifier.finish()
    files = sorted(_files(folder))
    texts, size_of_all, pictures = verifier.documents, verifier.bytes, verifier.pictures
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    done = 0
    for size, found, counts in _searched(chunks, folder, verifier, keys, ocr=ocr, workers=workers):
        leaks += found
        texts, size_of_all, pictures = texts + counts[0], size_of_all + counts[1], pictures + counts[2]
        done += size
        if progress is not None:
            progress(done, len(files))
    unique = tuple(sorted(dict.fromkeys(leaks), key=lambda leak: (leak.store, leak.kind)))
    return Proof(
        identifiers=verifier.needles.count,
        searched=len(verifier.needles.patterns),
        stores=stores + len(files),
        documents=texts,
        bytes=size_of_all,
        pictures=pictures,
        leaks=unique,
    )


def row_stores(cells: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Put the cells of a row together, for what belongs together must be seen together; blobs stay by themselves.

    Parameters
    ----------
    cells : iterable of (str, bytes)
        Place, such as ``films[3].note``, and content; the cells of a row follow each other.

    Yields
    ------
    tuple of (str, bytes)
        Place of the row and its text ``column: value; ...``, or place and bytes of a blob.

    Examples
    --------
    >>> list(row_stores([("a[1].x", b"1"), ("a[1].y", b"two"), ("a[2].x", b"3")]))
    [('a[1]', b'x: 1; y: two'), ('a[2]', b'x: 3')]
    """
    row = ""
    parts: list[bytes] = []
    for place, data in cells:
        here, _, column = place.rpartition(".")
        if here != row:
            if parts:
                yield row, b"; ".join(parts)
            row, parts = here, []
        if is_text(data):
            parts.append(f"{column}: ".encode() + data)
        else:
            yield place, data
    if parts:
        yield row, b"; ".join(parts)


def _verifier(keys: Path, *, ocr: bool) -> Verifier:
    with Linkage(keys) as linkage:
        return Verifier(linkage, ocr=ocr)


def _files(folder: Path) -> Iterator[Path]:
    """Regular files at any depth; links are not followed, for their targets are not in the folder."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def _searched(
    chunks: list[list[Path]], folder: Path, verifier: Verifier, keys: Path, *, ocr: bool, workers: int
) -> Iterator[tuple[int, list[Leak], tuple[int, int, int]]]:
    """Search chunks of files here or in processes: how many files, leaks, documents, bytes and pictures."""
    if workers == 1 or len(chunks) == 1:
        for chunk in chunks:
            yield _search(verifier, chunk, folder)
        return
    context = get_context("spawn")  # a forked process would inherit locks of Polars' threads
    with ProcessPoolExecutor(workers, context, _start, (keys, ocr)) as pool:
        for future in as_completed([pool.submit(_search_there, chunk, folder) for chunk in chunks]):
            yield future.result()


_HERE: list[Verifier] = []


def _start(keys: Path, ocr: bool) -> None:  # noqa: FBT001 - called by the pool
    _HERE.append(_verifier(keys, ocr=ocr))


def _search_there(chunk: list[Path], folder: Path) -> tuple[int, list[Leak], tuple[int, int, int]]:
    return _search(_HERE[0], chunk, folder)


def _search(verifier: Verifier, chunk: list[Path], folder: Path) -> tuple[int, list[Leak], tuple[int, int, int]]:
    before = (verifier.documents, verifier.bytes, verifier.pictures)
    leaks: list[Leak] = []
    for path in chunk:
        name = str(path.relative_to(folder))
        leaks += verifier.add(f"{name} (name)", os.fsencode(name))
        try:
            data = path.read_bytes()
        except OSError:
            leaks.append(Leak(name, "problem", "", "cannot be read"))
            continue
        leaks += verifier.add(name, data)
    leaks += verifier.finish()
    after = (verifier.documents, verifier.bytes, verifier.pictures)
    return len(chunk), leaks, (after[0] - before[0], after[1] - before[1], after[2] - before[2])
