"""The file side of the boundary: what is not a readable file is refused with its own code."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from carina.errors import FilmRejectedError
from carina.imaging import REJECTIONS, read_film
from carina.imaging.rejections import rejection
from carina.settings import Limits

CodeOf = Callable[..., str]


def _png(side: int = 4) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_missing_file(tmp_path: Path, code_of: CodeOf) -> None:
    assert code_of(tmp_path / "none.dcm") == "missing"


@pytest.mark.parametrize("name", ["a/b.png", "x" * 300, "zero\0byte"])
def test_path_that_cannot_exist_is_missing(tmp_path: Path, code_of: CodeOf, name: str) -> None:
    (tmp_path / "a").write_bytes(b"file, not folder")
    assert code_of(tmp_path / name) == "missing"


def test_folder(tmp_path: Path, code_of: CodeOf) -> None:
    assert code_of(tmp_path) == "directory"


def test_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path, code_of: CodeOf) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert code_of(tmp_path / "pipe") == "not_a_file"


def test_symlink_loop(tmp_path: Path, code_of: CodeOf) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert code_of(tmp_path / "a") == "symlink_loop"


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EACCES, "no_permission"), (errno.EPERM, "no_permission"), (errno.EIO, "unreadable")]
)
def test_what_the_system_refuses(
    tmp_path: Path, code_of: CodeOf, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    assert code_of(tmp_path / "film.dcm") == code


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_file_without_read_permission(tmp_path: Path, code_of: CodeOf) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(_png())
    path.chmod(0)
    assert code_of(path) == "no_permission"


def test_empty_file(tmp_path: Path, code_of: CodeOf) -> None:
    (tmp_path / "film.dcm").touch()
    assert code_of(tmp_path / "film.dcm") == "empty"


def test_too_large_file_is_refused_before_it_is_read(tmp_path: Path, code_of: CodeOf) -> None:
    path = tmp_path / "film.dcm"
    with path.open("wb") as file:
        file.truncate(8 << 40)  # sparse: 8 TiB that nobody could read
    assert code_of(path) == "file_too_large"


def test_too_large_bytes(code_of: CodeOf) -> None:
    assert code_of(bytes(2000), Limits(file_bytes=1024)) == "file_too_large"


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        b"PK\x03\x04" + bytes(60),
        b"\x1f\x8b\x08" + bytes(60),
        b"patient,film\n1,2\n",
        b"BM is how this text begins, and it is no bitmap",
        "für Übungen".encode("utf-16"),
        bytes(4096),
        b"\0",
        b"\x08\x00",
        bytes(range(256)) * 8,
    ],
)
def test_content_that_is_no_picture(code_of: CodeOf, content: bytes) -> None:
    assert code_of(content) == "not_a_picture"


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP", "JPEG2000"])
def test_picture_of_another_format(code_of: CodeOf, kind: str) -> None:
    file = io.BytesIO()
    Image.new("L", (8, 8), 9).save(file, kind)
    assert code_of(file.getvalue()) == "unsupported_format"


def test_content_decides_and_not_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(_png(3))
    assert read_film(path).header.format == "png"


def test_sha256_is_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(_png())
    assert read_film(path).sha256 == hashlib.sha256(_png()).hexdigest() == read_film(_png()).sha256


def test_refusal_does_not_show_the_path(tmp_path: Path) -> None:
    with pytest.raises(FilmRejectedError, match=r"^the file does not exist; check the path$"):
        read_film(tmp_path / "Surname^Given.dcm")


def test_refusal_shows_the_name_it_was_given(tmp_path: Path) -> None:
    with pytest.raises(FilmRejectedError, match=r"^film 7 does not exist"):
        read_film(tmp_path / "none.dcm", name="film 7")


def test_every_code_used_is_listed() -> None:
    with pytest.raises(ValueError, match="must be one of REJECTIONS"):
        rejection("made_up", "is odd")
    assert all(code == code.lower() and meaning for code, meaning in REJECTIONS.items())
