"""Bundles: data only, every byte checked."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from carina.errors import BundleError, OutputError
from carina.inference import default_bundle_path, find_bundle, load_bundle, write_bundle, zip_bundle
from carina.tasks import default_task


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def _edit(folder: Path, **changes: object) -> None:
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_bundle_gives_what_its_description_says(tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle, task="pneumonia")
    assert (bundle.name, bundle.version) == ("tiny", "1")
    assert bundle.task == default_task()
    assert bundle.preprocessing.size == 32
    assert bundle.calibration is not None
    assert bundle.calibration.temperature == {"root": 2.0, "pneumonia": 0.5}
    assert bundle.training_films.perceptual_hashes == {"00ff00ff00ff00ff"}
    assert bundle.training_films.patients == {"0123456789abcdef"}


@pytest.mark.parametrize("name", ["model.onnx", "MODEL_CARD.md"])
def test_one_changed_byte_is_refused_by_name(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} in bundle .* it was changed"):
        load_bundle(copy)


@pytest.mark.parametrize("name", ["model.onnx", "MODEL_CARD.md", "bundle.json"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name):
        load_bundle(copy)


def test_another_format_is_refused(copy: Path) -> None:
    _edit(copy, format=2)
    with pytest.raises(BundleError, match="has format 2; this carina reads format 1"):
        load_bundle(copy)


def test_a_bundle_of_another_task_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(BundleError, match="must be for task 'heart'; it is for task 'pneumonia'"):
        load_bundle(tiny_bundle, task="heart")


def test_thresholds_of_another_model_are_refused(copy: Path) -> None:
    calibration = json.loads((copy / "bundle.json").read_text())["calibration"]
    _edit(copy, calibration={**calibration, "model_sha256": "f" * 64})
    with pytest.raises(BundleError, match="thresholds belong to one model"):
        load_bundle(copy)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 1}', b"[" * 100_000, b'{"format": 1, "name": "../x"}']
)
def test_a_description_that_is_none_is_one_sentence(copy: Path, content: bytes) -> None:
    (copy / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError):
        load_bundle(copy)


def test_a_zip_equals_its_folder_and_is_the_same_every_time(tiny_bundle: Path, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        zip_bundle(tiny_bundle, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert load_bundle(tmp_path / "a.zip") == load_bundle(tiny_bundle)


def test_a_zip_reaches_no_path_outside(tiny_bundle: Path, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "slip.zip"
    target.parent.mkdir()
    zip_bundle(tiny_bundle, target)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("../escaped.txt", "out")
    load_bundle(target)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "slip.zip"]


def test_a_zip_that_inflates_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.onnx", b"")
        archive.writestr("bundle.json", b"{}")
        archive.writestr("MODEL_CARD.md", bytes(17 * 1024 * 1024))
    assert path.stat().st_size < 100_000
    with pytest.raises(BundleError, match=r"MODEL_CARD\.md of a bundle must not exceed 16 MiB"):
        load_bundle(path)


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(BundleError, match="a bundle is a folder or a readable zip"):
        load_bundle(path)


def test_a_bundle_is_never_written_over(tiny_bundle: Path, make_bundle: Callable[..., Path]) -> None:
    with pytest.raises(OutputError, match="does not exist yet"):
        make_bundle(tiny_bundle)


def test_a_bundle_that_is_none_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        write_bundle(tmp_path / "new", b"model", {"name": "x", "version": 1, "task": {}, "preprocessing": {}}, "card")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_told_what_there_is() -> None:
    with pytest.raises(BundleError, match=r"one of pneumonia, pneumonia-seed; found 'lungs'"):
        find_bundle("lungs")


def test_a_shipped_model_that_is_absent_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("carina.inference.bundle.files", lambda _: tmp_path)
    with pytest.raises(BundleError, match="should ship with carina and is not in this installation"):
        default_bundle_path()


def test_a_folder_of_its_name_does_not_stand_in_for_a_shipped_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pneumonia").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("carina.inference.bundle.default_bundle_path", lambda name: Path("/shipped") / name)
    assert find_bundle("pneumonia") == Path("/shipped/pneumonia")
    assert find_bundle("./pneumonia") == Path("pneumonia")


def test_a_bundle_behind_a_circle_of_links_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(BundleError, match="symbolic links"):
        find_bundle(tmp_path / "circle" / "bundle")


def test_a_damaged_lzma_zip_is_one_sentence(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name in ("model.onnx", "bundle.json", "MODEL_CARD.md"):
            archive.write(tiny_bundle / name, name)
    content = bytearray(path.read_bytes())
    content[60:200] = bytes(140)
    path.write_bytes(content)
    with pytest.raises(BundleError, match="readable zip"):
        load_bundle(path)
