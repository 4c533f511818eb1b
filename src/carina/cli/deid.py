"""`carina deid`: films without identifiers, the policy in sentences, and the proof."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from carina.deidentify import Policy, Proof, Pseudonymiser

__all__ = ["deid", "films", "verify"]

_LISTED = 20
_LEAK = 1
_SOME_REFUSED = 3

deid = typer.Typer(name="deid", invoke_without_command=True, no_args_is_help=True, rich_markup_mode=None)


class BurnedIn(StrEnum):
    """What happens to text in the pixels."""

    blank = "blank"
    review = "review"


class Markers(StrEnum):
    """What happens to technical words in the pixels."""

    keep = "keep"
    blank = "blank"


class Descriptors(StrEnum):
    """What happens to free text."""

    clean = "clean"
    remove = "remove"


@deid.callback()
def _deid(
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Print what is removed, kept and changed, rule by rule, and do nothing.")
    ] = False,
) -> None:
    """Take identifiers out of films, and prove that none is left.

    Example: carina deid --what-if
    """
    if what_if:
        from carina.deidentify.policy import Policy  # noqa: PLC0415 - the verb's own imports, so that others start fast

        for sentence in Policy().sentences():
            typer.echo(f"- {sentence}")
        raise typer.Exit


@deid.command("films")
def films(
    sources: Annotated[list[Path], typer.Argument(help="DICOM films, and folders walked at any depth.")],
    out: Annotated[Path, typer.Option(help="Folder for the films, each named by its content.")],
    keys: Annotated[Path, typer.Option(help="Folder of the study's key; made with a new key when absent.")],
    burned_in: Annotated[
        BurnedIn, typer.Option(help="Text in the pixels: blanked, or blanked and put into OUT/review as well.")
    ] = BurnedIn.blank,
    markers: Annotated[
        Markers, typer.Option(help="Technical words in the pixels, such as ERECT: kept or blanked.")
    ] = Markers.keep,
    descriptors: Annotated[
        Descriptors, typer.Option(help="Free text of the header: cleaned word by word, or removed.")
    ] = Descriptors.clean,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write films without identifiers; what was removed is kept beside the key.

    Running it again on the same films writes the same bytes. Exit status: 0 all films written, 3 some refused or for
    review, 2 wrong usage.

    Example: carina deid films export/ --out films --keys trial.keys
    """
    from carina.cli.extras import require_extra  # noqa: PLC0415 - as above
    from carina.cli.progress import counting  # noqa: PLC0415 - as above
    from carina.errors import FilmRejectedError, InputError  # noqa: PLC0415 - as above

    require_extra("study", "polars", verb="deid")
    from carina.deidentify import Linkage, Policy, Pseudonymiser, create_keys, load_key  # noqa: PLC0415 - as above

    paths = sorted(set(_walked(sources)))
    if not paths:
        raise InputError("films must be named; the files and folders given hold none")
    if not keys.exists():
        create_keys(keys)
    names = Pseudonymiser(load_key(keys))
    policy = Policy(burned_in=burned_in.value, markers=markers.value, descriptors=descriptors.value)
    summary: dict[str, Any] = {"films": 0, "review": 0, "blanked": 0, "refused": []}
    with Linkage(keys) as linkage, counting(len(paths), "films") as done:
        for number, path in enumerate(paths, start=1):
            try:
                _write_one(path, out, names, policy, linkage, summary)
            except FilmRejectedError as error:
                summary["refused"].append({"number": number, "code": error.code, "reason": error.message})
            done(number)
    _tell_films(summary, as_json=as_json)
    raise typer.Exit(_SOME_REFUSED if summary["refused"] or summary["review"] else 0)


@deid.command("verify")
def verify(
    folder: Annotated[Path, typer.Argument(help="Research study, or any folder.")],
    keys: Annotated[
        Path | None, typer.Option(help="Keys folder with the linkage; the study's own if left out.")
    ] = None,
    ocr: Annotated[bool, typer.Option(help="Read the pixels of every film and picture too.")] = True,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the proof as JSON.")] = False,
) -> None:
    """Search every stored byte for identifiers of the linked records.

    Files and their names, the rows of the study's database, and what is wrapped in them: zip, gzip, bzip2, xz, deflate,
    tar, PDF, SQLite, Parquet, Arrow, DICOM, PNG text, base64; pixels by OCR. Exit status: 0 nothing found, 1 a leak or
    something that could not be searched, 2 wrong usage.

    Example: carina deid verify study
    """
    from carina.cli.extras import require_extra  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.cli.progress import growing  # noqa: PLC0415 - as above
    from carina.errors import InputError  # noqa: PLC0415 - as above

    is_study = (folder / "study.toml").is_file()
    if is_study:
        require_extra("study", "sqlalchemy", "alembic", "fsspec", verb="deid")
    elif keys is None:
        raise InputError(f"{str(folder)!r} is no study; name the keys folder that knows what was removed with --keys")
    with growing("files") as done:
        if is_study:
            proof = _verify_study(folder, keys, ocr=ocr, workers=workers, done=done)
        else:
            from carina.deidentify import prove  # noqa: PLC0415 - as above

            proof = prove(folder, keys or Path(), ocr=ocr, workers=workers, progress=done)
    _tell_proof(proof, as_json=as_json, ocr=ocr)
    raise typer.Exit(_LEAK if proof.leaks else 0)


def _verify_study(folder: Path, keys: Path | None, *, ocr: bool, workers: int, done: Any) -> Proof:
    """Search a study: its folder, its database, and its store where that lies elsewhere."""
    from carina.archive import Study, open_study  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.deidentify import prove  # noqa: PLC0415 - as above

    def cells(study: Study) -> Iterator[tuple[str, bytes]]:
        yield from study.archive.dump_rows()
        inside = study.store.folder is not None and study.store.folder.is_relative_to(study.folder)
        for path in () if inside else study.store.list():
            yield f"{path} (name).store", path.encode()
            yield path, study.store.read(path)

    with open_study(folder, "research") as study:
        proof = prove(folder, keys or study.keys, rows=cells(study), ocr=ocr, workers=workers, progress=done)
        study.archive.audit(
            "removal_verified",
            {"leaks": len(proof.leaks), "identifiers": proof.identifiers, "stores": proof.stores, "ocr": ocr},
        )
    return proof


def _walked(sources: list[Path]) -> Iterator[Path]:
    from carina.errors import InputError  # noqa: PLC0415 - the verb's own imports, so that others start fast

    for source in sources:
        if not source.exists():
            raise InputError(f"films to de-identify must exist; {str(source)!r} does not")
        yield from (path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]


def _write_one(
    path: Path, out: Path, names: Pseudonymiser, policy: Policy, linkage: Any, summary: dict[str, Any]
) -> None:
    """De-identify one film; the linkage is written first, so that no film is without the proof's other half."""
    import hashlib  # noqa: PLC0415 - the verb's own imports, so that others start fast

    from carina.deidentify import deidentify_dicom  # noqa: PLC0415 - as above
    from carina.imaging.film import read_bytes  # noqa: PLC0415 - as above
    from carina.settings import Limits  # noqa: PLC0415 - as above

    made = deidentify_dicom(read_bytes(path, Limits().file_bytes), names, policy)
    linkage.add(made.removed)
    folder = out if made.review is None else out / "review"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / f"{hashlib.sha256(made.data).hexdigest()}.dcm"
    part = target.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_bytes(made.data)
    part.replace(target)
    summary["films" if made.review is None else "review"] += 1
    summary["blanked"] += made.blanked > 0


def _tell_films(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary))
        return
    for each in summary["refused"][:_LISTED]:
        typer.echo(f"film {each['number']}: refused: {each['reason']} [{each['code']}]")
    typer.echo(
        f"{summary['films']} films written, {summary['review']} for review, {len(summary['refused'])} refused; "
        f"text was blanked in the pixels of {summary['blanked']}"
    )


def _tell_proof(proof: Proof, *, as_json: bool, ocr: bool) -> None:
    if as_json:
        from dataclasses import asdict  # noqa: PLC0415 - the verb's own imports, so that others start fast

        typer.echo(json.dumps(asdict(proof)))
        return
    for leak in proof.leaks[:_LISTED]:
        whose = f" of patient {leak.patient_id}" if leak.patient_id else ""
        what = "could not be searched" if leak.kind == "problem" else f"{leak.kind}{whose}"
        typer.echo(f"{leak.store}: {what} ({leak.how})")
    if len(proof.leaks) > _LISTED:
        typer.echo(f"and {len(proof.leaks) - _LISTED} more; --json lists all")
    read = f", {proof.pictures} pictures read" if ocr else "; pixels were not read"
    typer.echo(
        f"searched {proof.stores} files and rows ({proof.bytes} bytes unwrapped{read}) "
        f"for {proof.identifiers} identifiers: " + (f"{len(proof.leaks)} leaks" if proof.leaks else "none found")
    )
