"""The shortcut audit: does a model read the disease, or where the film was taken? (M36).

Every probe has a criterion fixed beforehand (`carina.evidence.audit_criteria`), an outcome and a sentence. A verdict
stands beside each contrast: *supported* when the films could show a shortcut and showed none; *not supported* when the
model was seen to read what is no disease; *not shown* when evidence cannot be had from these films.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection
from pathlib import Path

from carina.errors import OutputError
from carina.evidence.audit_films import AuditedFilms, gather
from carina.evidence.audit_measured import Measured
from carina.evidence.audit_outcome import Audit
from carina.evidence.audit_probes import ask_contrast, ask_table
from carina.evidence.audit_verdict import conclude
from carina.evidence.judged_films import ModelStamp
from carina.evidence.sample import untrained
from carina.inference import Bundle, load_bundle
from carina.sampling import FilmTable
from carina.tasks import Task

__all__ = ["audit_films", "audit_model", "audit_task", "write_audit"]

_COLUMNS = ("probe", "name", "contrast", "describes", "outcome", "measure", "value", "low", "high", "n", "sentence")


def audit_model(
    bundle: Bundle | str | Path,
    table: FilmTable,
    *,
    refit: bool = False,
    workers: int = 1,
    with_training_films: bool = False,
    contrasts: Collection[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Audit:
    """Audit a model on films that it was not trained on.

    Parameters
    ----------
    bundle : Bundle, str or Path
        Loaded, or as `carina.inference.load_bundle` takes it.
    table : FilmTable
        Films of the model's training patients are left out and counted.
    refit : bool
        Whether readers are refitted on films without lungs; they describe the data.
    workers : int
        Processes.
    with_training_films : bool
        Keep films of training patients.
    contrasts : collection of str, optional
        Of the task; all by default.
    progress : callable, optional
        Called with the number of films done.

    Returns
    -------
    Audit

    Raises
    ------
    TableError
        If no film is left, or films are missing.
    InputError
        If no film could be judged.
    BundleError
        If the model does not load.
    """
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
    given = len(table)
    if not with_training_films:
        table = table.with_frame(table.frame[untrained(table, loaded.training_films.patients)])
    found = gather(loaded.task, table, bundle=loaded, workers=workers, progress=progress)
    path = None if isinstance(bundle, Bundle) else str(bundle)
    stamp = ModelStamp(loaded.name, loaded.version, loaded.model_sha256, path)
    return audit_films(found, model=stamp, refit=refit, given=given, contrasts=contrasts)


def audit_task(
    task: Task,
    table: FilmTable,
    *,
    refit: bool = False,
    workers: int = 1,
    contrasts: Collection[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Audit:
    """Audit films without a model: what a model trained on them could read besides the disease.

    Parameters
    ----------
    task : Task
    table, refit, workers, contrasts, progress
        As in `audit_model`.

    Returns
    -------
    Audit
        Its verdicts are *not shown*, for no model was asked.
    """
    found = gather(task, table, workers=workers, progress=progress)
    return audit_films(found, refit=refit, contrasts=contrasts)


def audit_films(
    found: AuditedFilms,
    *,
    model: ModelStamp | None = None,
    refit: bool = False,
    given: int | None = None,
    contrasts: Collection[str] | None = None,
) -> Audit:
    """Ask every probe of films already looked at, and conclude.

    Parameters
    ----------
    found : AuditedFilms
    model : ModelStamp or None
    refit : bool
    given : int or None
        Films before those of training patients were left out.
    contrasts : collection of str, optional

    Returns
    -------
    Audit
    """
    of_table, listed = ask_table(found)
    chosen = [name for name in found.task.contrasts if contrasts is None or name in contrasts]
    probes, verdicts = list(of_table), {}
    for name in chosen:
        asked = ask_contrast(found, name, refit=refit)
        probes += asked
        verdicts[name] = conclude(found, name, [*of_table, *asked])
    refused = [{"image_id": name, "probe": "refused", "reason": why} for name, why in found.refused.items()]
    total = len(found.table) + len(found.refused)
    counts = {
        "given": total if given is None else given,
        "trained_on": 0 if given is None else given - total,
        "refused": len(found.refused),
        "judged": len(found.table),
        "without_lungs": int((~found.with_lungs()).sum()),
    }
    return Audit(
        model=model,
        table_sha256=found.table.sha256,
        films=len(found.table),
        patients=len(set(found.table.patients)),
        probes=tuple(probes),
        verdicts=verdicts,
        films_listed=(*listed, *refused),
        counts=counts,
    )


def write_audit(audit: Audit, out: Path) -> tuple[Path, Path]:
    """Write ``audit.json`` and ``audit.csv``, one row a measured number.

    Parameters
    ----------
    audit : Audit
    out : Path
        Folder; made when missing.

    Returns
    -------
    tuple of Path
        The two files.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        report, rows = out / "audit.json", out / "audit.csv"
        text = json.dumps(audit.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)
        report.write_text(text + "\n", "utf-8")
        rows.write_text(_csv(audit), "utf-8")
    except OSError as error:
        why = error.strerror or str(error)
        raise OutputError(f"the audit must go to a folder that can be written; {str(out)!r}: {why}") from error
    return report, rows


def _csv(audit: Audit) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in audit.probes:
        head = (one.id, one.name, one.contrast or "", one.describes, one.outcome)
        for name, value in one.measured.items() or {"": Measured(None)}.items():
            numbers = ("" if number is None else number for number in (value.value, value.low, value.high))
            writer.writerow((*head, name, *numbers, value.n, one.sentence))
    return stream.getvalue()
