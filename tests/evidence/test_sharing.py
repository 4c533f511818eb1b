"""Signed packages: what goes in, what stays at home, and what is refused."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carina.errors import SharingError
from carina.inference import load_bundle

pytest.importorskip("cryptography", reason="sharing needs the extra 'share'")

from carina.evidence.sharing import export_package, import_package
from carina.evidence.sharing_keys import load_private_key, make_keys


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path / "north.key")
    return tmp_path / "north.key"


@pytest.fixture
def package(tiny_bundle: Path, keys: Path, tmp_path: Path) -> Path:
    return export_package(tiny_bundle, tmp_path / "package.zip", keys).path


def _rewritten(package: Path, target: Path, **changes: bytes | None) -> Path:
    """The same package with members changed, added or (None) left out."""
    with zipfile.ZipFile(package) as archive:
        contents: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    contents |= {name.replace("__", "/").replace("_DOT_", "."): value for name, value in changes.items()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)
    return target


def test_a_package_travels_and_its_bundle_decides_as_before(package: Path, keys: Path, tmp_path: Path) -> None:
    found = import_package(package, [keys.with_name("north.key.pub")], tmp_path / "north")
    assert found.fingerprint == found.manifest["signed_by"]
    assert found.fingerprint.startswith("SHA256:")
    bundle = load_bundle(tmp_path / "north" / "bundle")
    assert bundle.calibration is not None
    assert bundle.calibration.thresholds["pneumonia"].low == 0.5
    assert bundle.model_sha256 == found.manifest["model"]["sha256"]


def test_keys_are_for_their_owner_alone(keys: Path) -> None:
    assert keys.stat().st_mode & 0o777 == 0o600
    keys.chmod(0o640)
    with pytest.raises(SharingError, match="only its owner may read"):
        load_private_key(keys)
    with pytest.raises(SharingError, match="not overwritten"):
        make_keys(keys)


def test_a_signature_of_another_key_is_refused_and_the_signer_named(package: Path, tmp_path: Path) -> None:
    other = make_keys(tmp_path / "other.key")
    with pytest.raises(SharingError, match="signed by none of the 1 trusted keys") as caught:
        import_package(package, [tmp_path / "other.key.pub"], tmp_path / "out")
    assert other not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"manifest_DOT_sig": None}, "must be signed"),
        ({"manifest_DOT_sig": b"\0" * 64}, "none of the"),
        ({"manifest_DOT_sig": b"\0" * 65}, "must not exceed"),
        ({"bundle__MODEL_CARD_DOT_md": b"changed"}, "changed after it was signed"),
        ({"bundle__MODEL_CARD_DOT_md": None}, "must hold what its manifest names"),
        ({"rules_DOT_json": b"{}"}, "must hold what its manifest names"),
        ({"_DOT__DOT___evil_DOT_sh": b"x"}, "and nothing else"),
        ({"manifest_DOT_json": b"{}"}, "none of the"),
    ],
)
def test_a_package_that_was_changed_is_refused(
    package: Path, keys: Path, tmp_path: Path, changes: dict[str, bytes | None], message: str
) -> None:
    changed = _rewritten(package, tmp_path / "changed.zip", **changes)
    with pytest.raises(SharingError, match=message):
        import_package(changed, [keys.with_name("north.key.pub")], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith((".out", "out"))) == []


def test_a_zip_bomb_is_refused_without_being_unpacked(package: Path, keys: Path, tmp_path: Path) -> None:
    bomb = _rewritten(package, tmp_path / "bomb.zip", bundle__MODEL_CARD_DOT_md=b"\0" * 50_000_000)
    assert bomb.stat().st_size < 500_000
    with pytest.raises(SharingError, match="must not exceed"):
        import_package(bomb, [keys.with_name("north.key.pub")], tmp_path / "out")


def test_a_zip_whose_directory_lies_about_sizes_is_refused(package: Path, keys: Path, tmp_path: Path) -> None:
    bomb = _rewritten(package, tmp_path / "bomb.zip", bundle__MODEL_CARD_DOT_md=b"\0" * 50_000_000)
    content = bytearray(bomb.read_bytes())
    # Central directory header (APPNOTE 4.3.12): uncompressed size stands 24 bytes after the signature.
    place = content.index(b"PK\x01\x02", content.rindex(b"bundle/MODEL_CARD.md") - 46)
    struct.pack_into("<I", content, place + 24, 100)
    (tmp_path / "lying.zip").write_bytes(content)
    with pytest.raises(SharingError):
        import_package(tmp_path / "lying.zip", [keys.with_name("north.key.pub")], tmp_path / "out")


def test_no_identifier_of_a_film_or_person_is_in_a_package(
    make_bundle: Callable[..., Path], keys: Path, tmp_path: Path
) -> None:
    people = [f"ZZZ{number:04d}" for number in range(40)]
    films = [f"film{number:04d}" for number in range(40)]
    hashes = [f"{number:016x}" for number in range(7_000_000, 7_000_040)]
    bundle = make_bundle(
        tmp_path / "own",
        training={
            "seed": 1,
            "where": ["ward=north"],
            "labels": {"train": {"north/covid19": 3}},
            "films": {"perceptual_hashes": hashes, "patients": hashes},
        },
    )
    metrics = {
        "schema": 1,
        "task": "pneumonia",
        "model": {"model_sha256": load_bundle(bundle).model_sha256, "path": str(bundle)},
        "table": {"patients": 40},
        "numbers": [],
        "gallery": [{"image_id": film, "patient_id": person} for film, person in zip(films, people, strict=True)],
        "sentences": [f"film {films[0]} of {people[0]} was refused"],
        "films": {"left_out": dict.fromkeys(films, "why")},
        "curves": {"pneumonia": {"roc": [[0.0, 0.0, 1.0]]}},
        "audit": {"pneumonia": {"verdict": "supported", "because": [f"as {films[1]} shows"]}},
    }
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.json").write_text(json.dumps(metrics))
    cohort = {
        "rules": {"merge_hours": 24},
        "rules_sha256": "0" * 64,
        "sentences": ["A rule."],
        "films": 3,
        "labels": people,
    }
    (run / "cohort.json").write_text(json.dumps(cohort))
    made = export_package(run, tmp_path / "package.zip", keys, cohort=run)
    assert "rules.json" in made.files
    with zipfile.ZipFile(made.path) as archive:
        everything = b"\n".join(archive.read(name) for name in archive.namelist()) + made.path.read_bytes()
        aggregates = json.loads(archive.read("aggregates.json"))
    for needle in (*people, *films, *hashes, "ward=north", str(tmp_path)):
        assert needle.encode() not in everything
    assert aggregates["audit"] == {"pneumonia": "supported"}
    assert json.loads(zipfile.ZipFile(made.path).read("rules.json"))["rules"] == {"merge_hours": 24}


def test_aggregates_of_another_model_are_refused(tiny_bundle: Path, keys: Path, tmp_path: Path) -> None:
    metrics: dict[str, Any] = {"task": "pneumonia", "model": {"model_sha256": "f" * 64}, "numbers": []}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(SharingError, match="aggregates belong to one model"):
        export_package(tmp_path, tmp_path / "package.zip", keys, bundle=tiny_bundle)
    with pytest.raises(SharingError, match="which bundle it judged"):
        export_package(tmp_path, tmp_path / "package.zip", keys)
