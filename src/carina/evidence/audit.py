"""The shortcut audit: does a model read the disease, or where the film was taken? (M36).

Every probe has a criterion fixed beforehand (`carina.evidence.audit_criteria`), an outcome and a sentence. A verdict
stands beside each contrast: *supported* when the films could show a shortcut and showed none; *not supported* when the
model was seen to read what is no disease; *not shown* when evidence cannot be had from these films.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from carina import __version__
from carina.errors import InputError, OutputError
from carina.evidence.audit_criteria import VERSION
from carina.evidence.audit_films import AuditedFilms, gather
from carina.evidence.audit_measured import Measured
from carina.evidence.judged_films import ModelStamp
from carina.evidence.sample import untrained
from carina.inference import Bundle, load_bundle
from carina.sampling import FilmTable
from carina.tasks import Task

__all__ = ["Audit", "Outcome", "Probe", "Verdict", "audit_films", "audit_model", "audit_task", "write_audit"]

Outcome = Literal["passed", "failed", "not estimable"]
_SCHEMA = 1
_COLUMNS = ("probe", "name", "contrast", "describes", "outcome", "measure", "value", "low", "high", "n", "sentence")


@dataclass(frozen=True, slots=True)
class Probe:
    """One question of the audit.

    Attributes
    ----------
    id : str
        Such as ``"lungs_black.pneumonia"``.
    name : str
        In words.
    contrast : str or None
        `None` for a question about the whole table.
    criterion : str
        What must hold for it to pass.
    describes : {"model", "data"}
    measured : dict of str to Measured
    outcome : {"passed", "failed", "not estimable"}
    sentence : str
    """

    id: str
    name: str
    contrast: str | None
    criterion: str
    describes: Literal["model", "data"]
    measured: Mapping[str, Measured]
    outcome: Outcome
    sentence: str

    @property
    def kind(self) -> str:
        """The id without its contrast."""
        return self.id.split(".", 1)[0]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the audit says of one contrast.

    Attributes
    ----------
    verdict : {"supported", "not supported", "not shown"}
    because : tuple of str
        Sentences, each with the probe's id in square brackets.
    """

    verdict: Literal["supported", "not supported", "not shown"]
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """Outcome of an audit.

    Attributes
    ----------
    model : ModelStamp or None
        `None` where only the films were audited.
    table_sha256 : str
    films, patients : int
        Audited.
    probes : tuple of Probe
    verdicts : dict of str to Verdict
        By contrast.
    films_listed : tuple of dict
        Films that stand out, with the probe and the reason: refused ones, near-duplicates.
    counts : dict of str to int
        Films given, judged, refused, without lungs, left out as trained on.
    criteria_version : str
    """

    model: ModelStamp | None
    table_sha256: str
    films: int
    patients: int
    probes: tuple[Probe, ...]
    verdicts: Mapping[str, Verdict]
    films_listed: tuple[dict[str, str], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    criteria_version: str = VERSION

    def verdict(self, contrast: str) -> Verdict:
        """Verdict of a contrast; *not shown* for one that the audit did not ask about."""
        missing = Verdict("not shown", (f"the audit has no contrast {contrast!r}",))
        return self.verdicts.get(contrast, missing)

    def probe(self, kind: str, contrast: str | None = None) -> Probe | None:
        """Find a probe by its kind, such as ``"lungs_black"``, and its contrast."""
        wanted = kind if contrast is None else f"{kind}.{contrast}"
        return next((one for one in self.probes if one.id == wanted), None)

    def to_dict(self) -> dict[str, Any]:
        """As ``audit.json`` holds it."""
        return {
            "schema": _SCHEMA,
            "carina": __version__,
            "model": None if self.model is None else asdict(self.model),
            "table_sha256": self.table_sha256,
            "films": self.films,
            "patients": self.patients,
            "counts": dict(self.counts),
            "criteria_version": self.criteria_version,
            "probes": [asdict(one) for one in self.probes],
            "verdicts": {
                name: {"verdict": one.verdict, "because": list(one.because)} for name, one in self.verdicts.items()
            },
            "films_listed": list(self.films_listed),
        }

    @classmethod
    def from_json(cls, source: Path | str) -> Audit:
        """Read ``audit.json``: its path, or its text.

        Raises
        ------
        InputError
            If it is no audit of this schema.
        """
        try:
            text = source.read_text("utf-8") if isinstance(source, Path) else source
            return cls._of(json.loads(text))
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"an audit must be the audit.json that `carina audit` wrote, schema {_SCHEMA}; found "
                f"{type(error).__name__}: {error}"
            ) from error

    @classmethod
    def _of(cls, values: dict[str, Any]) -> Audit:
        if values["schema"] != _SCHEMA:
            raise ValueError(f"schema {values['schema']!r}")
        probes = [
            Probe(**{**one, "measured": {name: Measured(**value) for name, value in one["measured"].items()}})
            for one in values["probes"]
        ]
        verdicts = {name: Verdict(one["verdict"], tuple(one["because"])) for name, one in values["verdicts"].items()}
        return cls(
            model=None if values["model"] is None else ModelStamp(**values["model"]),
            table_sha256=values["table_sha256"],
            films=values["films"],
            patients=values["patients"],
            probes=tuple(probes),
            verdicts=verdicts,
            films_listed=tuple(values["films_listed"]),
            counts=values.get("counts", {}),
            criteria_version=values["criteria_version"],
        )


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
    from carina.evidence.audit_probes import ask_contrast, ask_table  # noqa: PLC0415 - they build on this module
    from carina.evidence.audit_verdict import conclude  # noqa: PLC0415 - as above

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
