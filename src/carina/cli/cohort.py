"""`carina cohort` and `carina sample-size`: who is in the study, and how many must be (M8-M19)."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carina.errors import CohortError, InputError

if TYPE_CHECKING:
    import polars as pl

    from carina.archive import Archive, Study
    from carina.cohort import Cohort, CohortTables, Rules

__all__ = ["cohort", "sample_size"]

_NEEDED = ("admissions", "reads")
_TAKEN_IN = frozenset({"films_ingested", "records_loaded"})
_LABEL = (
    *("film_id", "label", "gold", "sentence", "read", "aetiology", "aetiology_sentence", "covid_contrast"),
    *("bacterial_viral_contrast", "exclusion"),
)


def cohort(
    folder: Annotated[Path | None, typer.Argument(help="Research study with films and records.")] = None,
    rules: Annotated[Path | None, typer.Option("--rules", help="TOML file over the packaged rules.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Output folder; by default FOLDER/cohort.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the split.")] = 1,
    source: Annotated[str | None, typer.Option("--source", help="Name of the hospital in the film table.")] = None,
    public: Annotated[
        Path | None, typer.Option("--public", help="Film table of public COVID-19 films, for training only (M19).")
    ] = None,
    what_if: Annotated[bool, typer.Option("--what-if", help="Print the rules in sentences and do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print cohort.json.")] = False,
) -> None:
    """Label every film of a study with its reason, and write the film table of the cohort.

    Writes film_table.parquet and .csv, labels.parquet, flow.svg and .csv, exclusions.csv, coverage.csv and cohort.json;
    the labels go to the study's archive too, and what changed since the last time is logged there.

    Example: carina cohort study --rules rules.toml
    """
    from carina.cohort import load_rules  # noqa: PLC0415 - the verb's own imports, so that others start fast

    chosen = load_rules(rules)
    if what_if:
        for sentence in chosen.sentences():
            typer.echo(sentence)
        return
    if folder is None:
        raise InputError("a cohort is made from a study; name its folder, or ask for --what-if")
    from carina.cli.extras import require_extra  # noqa: PLC0415 - as above

    require_extra("study", "sqlalchemy", "alembic", "fsspec", verb="cohort")
    from carina.archive import open_study  # noqa: PLC0415 - as above

    with open_study(folder, "research") as study:
        _make(study, chosen, out or folder / "cohort", seed, source, public, as_json=as_json)


def _make(
    study: Study, rules: Rules, out: Path, seed: int, source: str | None, public: Path | None, *, as_json: bool
) -> None:
    from carina.cohort import add_public_films, build_cohort, require_films, write_cohort  # noqa: PLC0415 - as above
    from carina.report.flow import write_flow  # noqa: PLC0415 - as above

    start = perf_counter()
    tables, inputs = _tables(study.archive)
    made = build_cohort(tables, rules, seed=seed, source=source or f"study-{study.file.study_id}")
    require_films(made)
    if public is not None:
        made = add_public_films(made, _read_table(public), public.resolve().parent)
        inputs["public"] = hashlib.sha256(public.read_bytes()).hexdigest()
    with study.lock():
        store = study.store.folder or study.store.location
        record = write_cohort(made, out, store=store, inputs=inputs, seconds=perf_counter() - start)
        write_flow(made.flow.to_dicts(), out / "flow.svg")
        why = "; ".join(
            [f"rules {rules.sha256[:12]}", *(f"{name} version {each['version']}" for name, each in _sets(inputs))]
        )
        changed = study.archive.put_labels(made.labels.select(_LABEL), reason=why)
    if as_json:
        typer.echo(record.read_text("utf-8").rstrip("\n"))
        return
    _tell(made, out, f"labels: {changed.added} new, {changed.changed} changed, {changed.removed} removed")


def _tables(archive: Archive) -> tuple[CohortTables, dict[str, Any]]:
    """Tables of a study, and the hashes of what stands behind them."""
    from carina.cohort import CohortTables  # noqa: PLC0415 - as above

    films = archive.films()
    if films.height == 0:
        raise CohortError("a cohort needs films; the study has none; run `carina ingest` first")
    digest = hashlib.sha256("\n".join(sorted(films["film_id"].to_list())).encode()).hexdigest()
    inputs: dict[str, Any] = {"films": {"films": films.height, "sha256": digest}, "records": {}}
    tables: dict[str, pl.LazyFrame] = {}
    for name in ("admissions", "reads", "microbiology", "vitals"):
        current = archive.record_set(name)
        if current is None and name not in _NEEDED:
            sys.stderr.write(f"the study holds no {name}; what follows from them is unknown\n")
            continue
        tables[name] = archive.records(name)
        if current is not None:
            inputs["records"][name] = {"version": current.version, "sha256": current.sha256, "rows": current.rows}
    inputs["deidentified"] = _removal_proved(archive)
    return CohortTables.empty(films=films, **tables), inputs


def _removal_proved(archive: Archive) -> dict[str, Any] | None:
    """Last search for identifiers that found none, with nothing taken in since; `None` where there is none."""
    proof: dict[str, Any] | None = None
    for entry in archive.audit_log():
        if entry.event == "removal_verified":
            told = json.loads(entry.details)
            proof = {"at": entry.at, "entry": entry.sequence, **told} if told.get("leaks") == 0 else None
        elif entry.event in _TAKEN_IN:
            proof = None
    return proof


def _sets(inputs: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(inputs["records"].items())


def _read_table(path: Path) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 - as above

    try:
        return (
            pl.read_parquet(path, use_pyarrow=True)
            if path.suffix == ".parquet"
            else pl.read_csv(path, infer_schema=False)
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CohortError(f"a table of public films must be readable CSV or Parquet; {str(path)!r} is not") from error


def _tell(made: Cohort, out: Path, changes: str) -> None:
    """Print the flow and what to look at."""
    import polars as pl  # noqa: PLC0415 - as above

    for row in made.flow.filter((pl.col("kind") != "exclusion") | (pl.col("films") > 0)).to_dicts():
        lead = "  - " if row["kind"] == "exclusion" else ""
        typer.echo(f"{lead}{row['sentence'].rstrip('.')}: {row['films']:,} films, {row['patients']:,} patients")
    added = made.film_table.filter("public").height
    if added:
        typer.echo(f"public films added to train: {added:,}")
    typer.echo(changes)
    typer.echo(f"cohort written to {out}")


def sample_size(
    width: Annotated[float, typer.Option("--width", help="Width wanted of each interval, such as 0.1.")],
    patients_per_month: Annotated[float, typer.Option("--patients-per-month", help="Eligible patients a month.")],
    contrast: Annotated[
        list[str] | None,
        typer.Option("--contrast", help="NAME,SENSITIVITY,SPECIFICITY,PREVALENCE expected; may be given again."),
    ] = None,
    confirmed: Annotated[float, typer.Option("--confirmed", help="Share of them with confirmed pneumonia.")] = 0.5,
    test_share: Annotated[float, typer.Option("--test-share", help="Share of the patients in test.")] = 1.0,
    training: Annotated[int, typer.Option("--training", help="Patients taken out of test by number.")] = 0,
    method: Annotated[str, typer.Option("--method", help="clopper-pearson or wilson.")] = "clopper-pearson",
    above: Annotated[
        float | None, typer.Option("--above", help="Also: calls needed to show each value above this one.")
    ] = None,
    power: Annotated[float, typer.Option("--power", help="Chance to show it.")] = 0.8,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Say how many patients, and months of records, a study needs for intervals of a given width (M12).

    Each contrast gives two values, PPV and NPV; m contrasts give intervals at 1 - 0.05 / 2m (Bonferroni), so that two,
    the default, give 98.75 %. Expected: sensitivity and specificity 0.9 at prevalence 0.33 (COVID-19) and 0.5.

    Example: carina sample-size --width 0.1 --patients-per-month 90 --confirmed 0.4
    """
    from carina.statistics import Expectation, time_window, trials_for_power  # noqa: PLC0415 - as above

    given = contrast or ["covid19_given_pneumonia,0.9,0.9,0.33", "bacterial_given_pneumonia,0.9,0.9,0.5"]
    if method not in {"clopper-pearson", "wilson"}:
        raise InputError(f"a method must be clopper-pearson or wilson; found {method!r}")
    try:
        expected = [Expectation(name, *numbers) for name, numbers in map(_parts, given)]
        window = time_window(
            expected,
            width=width,
            patients_per_month=patients_per_month,
            confirmed=confirmed,
            test_share=test_share,
            training_patients=training,
            method="wilson" if method == "wilson" else "clopper-pearson",
        )
        calls = {
            f"{each.name}.{name}": trials_for_power(value, above, power, window.level)
            for each in expected
            for name, value in (("ppv", each.ppv), ("npv", each.npv))
            if above is not None
        }
    except ValueError as error:
        raise InputError(str(error)) from error
    if as_json:
        typer.echo(json.dumps({**window.to_dict(), "calls_for_power": calls}, indent=1))
        return
    for sentence in window.sentences():
        typer.echo(sentence)
    for name, count in calls.items():
        typer.echo(f"{name}: {count:,} calls show it above {above:g} with power {power:g}")


def _parts(text: str) -> tuple[str, tuple[float, float, float]]:
    name, *rest = text.split(",")
    try:
        sensitivity, specificity, prevalence = (float(part) for part in rest)
    except ValueError as error:
        raise InputError(
            f"a contrast must be NAME,SENSITIVITY,SPECIFICITY,PREVALENCE, such as covid,0.9,0.9,0.3; found {text!r}"
        ) from error
    return name, (sensitivity, specificity, prevalence)
