"""Signed packages between districts: a bundle, the cohort's rules, aggregates; no film, no row a person (M35)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carina import __version__
from carina.errors import OutputError, SharingError
from carina.evidence.sharing_aggregates import LEAST, share_numbers
from carina.evidence.sharing_bundle import SENTENCES, write_shared_bundle
from carina.evidence.sharing_keys import (
    fingerprint,
    load_private_key,
    load_public_key,
    parse_public_key,
    public_text,
    signature,
    signed_by,
)
from carina.inference import Bundle, load_bundle

__all__ = ["Exported", "Imported", "export_package", "import_package"]

_FORMAT = 1
_MIB = 1024 * 1024
_MANIFEST, _SIGNATURE, _KEY = "manifest.json", "manifest.sig", "signer.pub"
# A package holds these and nothing else; a name from outside never becomes a path (zip slip), and each read is bounded
# (zip bomb).
_LARGEST = {
    "bundle/model.onnx": 1024 * _MIB,
    "bundle/bundle.json": 64 * _MIB,
    "bundle/MODEL_CARD.md": 16 * _MIB,
    "rules.json": 16 * _MIB,
    "aggregates.json": 64 * _MIB,
}
_ENVELOPE = {_MANIFEST: _MIB, _SIGNATURE: 64, _KEY: 4096}
_RULES = ("rules", "rules_sha256", "sentences")
_BROKEN = (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error)
# The earliest that a zip can say; the same content gives the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Exported:
    """What went into a package.

    Attributes
    ----------
    path : Path
    fingerprint : str
        Of the key that signed.
    files : tuple of str
    numbers, held_back, left_out : int
        Numbers shown, suppressed, and of kinds that are not shared.
    """

    path: Path
    fingerprint: str
    files: tuple[str, ...]
    numbers: int
    held_back: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Imported:
    """A package whose signature and hashes were right.

    Attributes
    ----------
    folder : Path
        Holds ``bundle``, ``manifest.json`` and, where they were sent, ``rules.json`` and ``aggregates.json``.
    fingerprint : str
        Of the trusted key that signed.
    manifest : dict
    """

    folder: Path
    fingerprint: str
    manifest: dict[str, Any]


def export_package(
    source: Path, out: Path, key: Path, *, bundle: Path | None = None, cohort: Path | None = None
) -> Exported:
    """Sign and pack a bundle, and what an evaluation and a cohort's rules tell of it.

    Parameters
    ----------
    source : Path
        A bundle, a training run (with ``bundle``) or an evaluation (with ``metrics.json``).
    out : Path
        The package, a zip; replaced where it exists.
    key : Path
        Private key, mode 0600 (`carina.evidence.sharing_keys.make_keys`).
    bundle : Path, optional
        Bundle of an evaluation, where it is not where it was.
    cohort : Path, optional
        Folder of `carina cohort`, whose rules are added.

    Returns
    -------
    Exported

    Raises
    ------
    SharingError
        If there is no bundle, the bundle is not the one that was evaluated, or the key cannot be used.
    BundleError, OutputError
    """
    private = load_private_key(key)
    metrics = _json(source / "metrics.json") if (source / "metrics.json").is_file() else None
    chosen = load_bundle(_bundle_of(source, metrics, bundle))
    contents = _bundle_files(chosen)
    held_back = left_out = shown = 0
    if metrics is not None:
        found = _aggregates(metrics, chosen)
        held_back, left_out = found.pop("held_back"), found.pop("left_out")
        shown = len(found["numbers"]) - held_back
        contents["aggregates.json"] = _text(found | {"held_back": held_back})
    if cohort is not None:
        record = _json(cohort / "cohort.json" if cohort.is_dir() else cohort)
        contents["rules.json"] = _text({name: record.get(name) for name in _RULES})
    manifest = _text(
        {
            "format": _FORMAT,
            "kind": "carina shared package",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "carina": __version__,
            "model": {"name": chosen.name, "version": chosen.version, "sha256": chosen.model_sha256},
            "task": chosen.task.name,
            "signed_by": fingerprint(private.public_key()),
            "sentences": list(SENTENCES),
            "files": {
                name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for name, content in sorted(contents.items())
            },
        }
    )
    contents[_MANIFEST] = manifest
    contents[_SIGNATURE] = signature(private, manifest)
    contents[_KEY] = public_text(private.public_key()).encode("ascii")
    _write_zip(out, contents)
    return Exported(out, fingerprint(private.public_key()), tuple(sorted(contents)), shown, held_back, left_out)


def import_package(package: Path, trust: Sequence[Path], out: Path) -> Imported:
    """Check a package and unpack it, whole or not at all.

    Parameters
    ----------
    package : Path
    trust : sequence of Path
        Public keys of those who may sign. The key inside the package is only named, never trusted.
    out : Path
        Folder; must not exist.

    Returns
    -------
    Imported

    Raises
    ------
    SharingError
        If the package is no package, is signed by no trusted key, or a file is missing, too many or not the one that
        was signed.
    BundleError
        If the bundle cannot be used.
    OutputError
        If `out` exists or cannot be written.
    """
    keys = [load_public_key(path) for path in trust]
    if out.exists():
        raise OutputError(f"a package is unpacked to a folder that does not exist yet; {str(out)!r} does")
    try:
        with zipfile.ZipFile(package) as archive:
            names = [member.filename for member in archive.infolist()]
            _check_names(names, package)
            manifest = _member(archive, _MANIFEST, _ENVELOPE[_MANIFEST], package)
            made = _member(archive, _SIGNATURE, _ENVELOPE[_SIGNATURE], package)
            signer = next((key for key in keys if signed_by(key, manifest, made)), None)
            if signer is None:
                said = fingerprint(parse_public_key(_member(archive, _KEY, _ENVELOPE[_KEY], package), "its signer.pub"))
                raise SharingError(
                    f"{str(package)!r} is signed by none of the {len(keys)} trusted keys, or was changed after it was "
                    f"signed; it says that {said} signed it: ask its sender for the key by another way"
                )
            told = _manifest(manifest, package)
            # Nothing but the envelope is read before the signature is known to be right.
            contents = _checked_files(archive, names, told["files"], package)
    except (OSError, *_BROKEN) as error:
        raise SharingError(f"a shared package is a readable zip; {str(package)!r} is not: {error}") from error
    _unpack(out, contents | {_MANIFEST: manifest})
    return Imported(out, fingerprint(signer), told)


def _bundle_of(source: Path, metrics: Mapping[str, Any] | None, bundle: Path | None) -> Path | str:
    if bundle is not None:
        return bundle
    if metrics is not None:
        path = (metrics.get("model") or {}).get("path")
        if not path:
            raise SharingError("the evaluation does not say which bundle it judged; name it with --bundle")
        return str(path)
    return source / "bundle" if (source / "bundle" / "bundle.json").is_file() else str(source)


def _bundle_files(bundle: Bundle) -> dict[str, bytes]:
    scratch = Path(tempfile.mkdtemp(prefix="carina-share-"))
    try:
        write_shared_bundle(bundle, scratch / "bundle")
        return {
            f"bundle/{name}": (scratch / "bundle" / name).read_bytes()
            for name in ("model.onnx", "bundle.json", "MODEL_CARD.md")
        }
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _aggregates(metrics: Mapping[str, Any], bundle: Bundle) -> dict[str, Any]:
    """Numbers that may be shown, and the audit's verdicts; an allowlist, so that what is new stays at home."""
    judged = str((metrics.get("model") or {}).get("model_sha256") or "")
    if judged and judged[:12] != bundle.model_sha256[:12]:
        raise SharingError(
            f"aggregates belong to one model; the evaluation judged {judged[:12]}, the bundle is "
            f"{bundle.model_sha256[:12]}: name the right one with --bundle"
        )
    found = share_numbers(metrics.get("numbers") or (), bundle.task)
    table = metrics.get("table") or {}
    people = table.get("patients")
    audit = metrics.get("audit") or {}
    return {
        "schema": 1,
        "task": bundle.task.name,
        "model_sha256": bundle.model_sha256,
        "created": metrics.get("created"),
        "carina": metrics.get("carina"),
        "suppressed_below": LEAST,
        "patients_in_tens": int(people) // LEAST * LEAST if isinstance(people, int) else None,
        "audit": {name: said.get("verdict") for name, said in audit.items() if isinstance(said, Mapping)},
        "numbers": found.numbers,
        "held_back": found.held_back,
        "left_out": found.left_out,
    }


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise SharingError(f"{str(path)!r} must be readable JSON, and is not: {error}") from error
    if not isinstance(values, dict):
        raise SharingError(f"{str(path)!r} must be a JSON object; found {type(values).__name__}")
    return values


def _text(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def _write_zip(out: Path, contents: Mapping[str, bytes]) -> None:
    scratch = out.with_name(f".{out.name}-{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(contents):
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), contents[name], zipfile.ZIP_DEFLATED)
        scratch.replace(out)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise OutputError(f"the package {str(out)!r} cannot be written: {error.strerror}") from error


def _check_names(names: Sequence[str], package: Path) -> None:
    allowed = {*_LARGEST, *_ENVELOPE}
    if unknown := [name for name in names if name not in allowed]:
        raise SharingError(
            f"a shared package holds {', '.join(sorted(allowed))} and nothing else; {str(package)!r} has {unknown[0]!r}"
        )
    if len(set(names)) != len(names):
        raise SharingError(f"a shared package holds each file once; {str(package)!r} does not")
    if missing := [name for name in _ENVELOPE if name not in names]:
        raise SharingError(f"a shared package must be signed; {str(package)!r} lacks {', '.join(missing)}")


def _member(archive: zipfile.ZipFile, name: str, most: int, package: Path) -> bytes:
    # The size in the archive's directory can lie; the read itself is bounded.
    with archive.open(name) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise SharingError(f"{name} of a shared package must not exceed {most} bytes; in {str(package)!r} it is larger")
    return content


def _manifest(text: bytes, package: Path) -> dict[str, Any]:
    try:
        told = json.loads(text)
        if told["format"] == _FORMAT and all(
            isinstance(record["sha256"], str) and 0 <= int(record["bytes"]) <= _LARGEST[name]
            for name, record in told["files"].items()
        ):
            return dict(told)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SharingError(f"the manifest of {str(package)!r} is not one of a shared package") from error
    raise SharingError(f"{str(package)!r} has a manifest that this carina cannot read; it reads format {_FORMAT}")


def _checked_files(
    archive: zipfile.ZipFile, names: Sequence[str], files: Mapping[str, Any], package: Path
) -> dict[str, bytes]:
    """Read every file that the manifest names, no byte more than it says."""
    inside = {name for name in names if name not in _ENVELOPE}
    if inside != set(files):
        changed = sorted(inside ^ set(files))
        raise SharingError(f"{str(package)!r} must hold what its manifest names; {', '.join(changed)} differs")
    contents = {}
    for name, record in files.items():
        content = _member(archive, name, int(record["bytes"]), package)
        found = hashlib.sha256(content).hexdigest()
        if found != record["sha256"]:
            raise SharingError(
                f"{name} must have the sha-256 of the manifest, {record['sha256'][:12]}; found {found[:12]}: it was "
                "changed after it was signed"
            )
        contents[name] = content
    return contents


def _unpack(out: Path, contents: Mapping[str, bytes]) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise OutputError(f"the package cannot be unpacked to {str(out)!r}: {error.strerror}") from error
    try:
        (scratch / "bundle").mkdir()
        for name, content in contents.items():
            (scratch / name).write_bytes(content)
        load_bundle(scratch / "bundle")
        scratch.rename(out)
    except OSError as error:
        raise OutputError(f"the package cannot be unpacked to {str(out)!r}: {error.strerror}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
