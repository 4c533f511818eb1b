"""The report of an evaluation: one HTML file that needs no other; each number carries its id in `metrics.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from carina.inference import Bundle
from carina.report.checklist_evidence import Evidence
from carina.report.checklists import Checklist, fill_checklists
from carina.report.evaluation_curves import curve_figures
from carina.report.evaluation_flow import cohort_notes, read_cohort, run_flow
from carina.report.evaluation_forest import forest_figure, not_estimable
from carina.report.evaluation_gallery import GalleryFilm, gallery_films, run_bundle
from carina.report.evaluation_model import made_by, model_facts
from carina.report.evaluation_people import people_tables
from carina.report.evaluation_run import EvaluationRun, read_run
from carina.report.evaluation_summary import Summary, sentence_and_probe, summarise
from carina.report.evaluation_tables import (
    association_tables,
    confusions,
    group_tables,
    headline_table,
    probe_rows,
)
from carina.report.evaluation_words import anchor, cell_words, measure_words, number_markup
from carina.report.flow import light_colours
from carina.report.html import page_parts, page_templates
from carina.report.page import words, words_inside
from carina.report.svg_figures import plain_colours

__all__ = ["Report", "ReportOptions", "make_report", "render_report"]

_GROUPS = {
    "proportions": ("proportion",),
    "classes": ("class",),
    "calibrated": ("calibration",),
    "conformal": ("conformal",),
    "pairs": ("pairs",),
    "robustness": ("robustness",),
    "repeated": ("cross_validation", "leave_one_source_out"),
    "readers": ("readers",),
}


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What the report shows.

    Attributes
    ----------
    cohort : Path or None
        Folder of `carina cohort`, for the flow diagram and the guidelines.
    data : Path or None
        Folder of the films, where the run's paths no longer hold.
    model : str or None
        Bundle, where the run's path no longer holds.
    films : int
        Most films in the gallery.
    title : str or None
    now : datetime or None
        Date printed; the present when left out.
    """

    cohort: Path | None = None
    data: Path | None = None
    model: str | None = None
    films: int = 12
    title: str | None = None
    now: datetime | None = None


@dataclass(frozen=True)
class Report:
    """Everything a report says, before it is laid out.

    Attributes
    ----------
    run : EvaluationRun
    summary : Summary
    cohort : dict or None
        ``cohort.json``.
    flow : list of dict or None
        Rows of the cohort's flow.
    bundle : Bundle or None
        Model that was judged, where it can be read; else `without_bundle` says why not.
    without_bundle : str or None
    gallery : tuple of GalleryFilm
    checklists : tuple of Checklist
    options : ReportOptions
    """

    run: EvaluationRun
    summary: Summary
    cohort: Mapping[str, Any] | None
    flow: list[dict[str, Any]] | None
    bundle: Bundle | None
    without_bundle: str | None
    gallery: tuple[GalleryFilm, ...]
    checklists: tuple[Checklist, ...]
    options: ReportOptions

    @property
    def title(self) -> str:
        """Heading."""
        return self.options.title or f"Evaluation of {self.run.model_name}"


def make_report(
    folder: Path, options: ReportOptions = ReportOptions(), *, done: Callable[[int], None] | None = None
) -> Report:
    """Gather what a report says.

    Parameters
    ----------
    folder : Path
        Output folder of `carina evaluate`.
    options : ReportOptions
    done : callable, optional
        Called with the number of gallery films finished.

    Returns
    -------
    Report

    Raises
    ------
    InputError, TableError
        If the folder, or that of the cohort, is not what it must be.
    """
    run = read_run(folder)
    cohort, rows = (None, None) if options.cohort is None else read_cohort(options.cohort)
    bundle, why = run_bundle(run, options.model)
    gallery = gallery_films(run, bundle, data=options.data, most=options.films, done=done)
    evidence = Evidence(run, cohort, None if bundle is None else bundle.description)
    return Report(
        run=run,
        summary=summarise(run),
        cohort=cohort,
        flow=rows,
        bundle=bundle,
        without_bundle=why,
        gallery=tuple(gallery),
        checklists=fill_checklists(evidence),
        options=options,
    )


def render_report(report: Report, *, paper: bool = False) -> str:
    """Lay a report out.

    Parameters
    ----------
    report : Report
    paper : bool
        For print: light colours as such, no script, no table of all numbers, which ``numbers.csv`` holds.

    Returns
    -------
    str
        HTML.
    """
    run, names = report.run, _names(report.run)
    planned: Mapping[str, Any] = run.metrics.get("sample_size") or {}
    templates = page_templates(
        num=number_markup,
        anchor=anchor,
        measure=measure_words,
        cell=cell_words,
        words=words,
        inside=lambda said: words_inside(str(said), names),
    )

    def drawing(svg: str | None) -> Markup | None:
        if svg is None:
            return None
        return Markup(plain_colours(svg) if paper else svg)  # noqa: S704 - our own drawing, text escaped by ElementTree

    return templates.get_template("evaluation.html.j2").render(
        title=report.title,
        **page_parts(
            ("page.css", "explain.css", "evaluation.css"), None if paper else "evaluation.js", report.options.now
        ),
        paper=paper,
        run=run,
        summary=report.summary,
        flow=drawing(light_colours(run_flow(run, report.flow, styled=True)) if paper else run_flow(run, report.flow)),
        cohort=report.cohort,
        people=people_tables(run),
        people_notes=(run.metrics.get("characteristics") or {}).get("sentences") or [],
        planned=[str(said) for name in ("sentences", "found") for said in planned.get(name) or []],
        cohort_notes=cohort_notes(report.cohort),
        headline=headline_table(run),
        curves=[
            (
                words(name),
                run.verdicts[name],
                [(kind, drawing(svg), said) for kind, svg, said in curve_figures(run, name)],
            )
            for name in run.contrasts
        ],
        forests=[
            (words(name), run.verdicts[name], drawing(forest_figure(run, name)), not_estimable(run, name))
            for name in run.contrasts
        ],
        associations=association_tables(run),
        confusions=confusions(run),
        withheld_confusion=(run.metrics.get("confusion") or {}).get("withheld"),
        tables={name: group_tables(run, *groups) for name, groups in _GROUPS.items()},
        gallery=[_card(film) for film in report.gallery],
        probes=probe_rows(run),
        audited=[
            (words(name), run.verdicts[name], [sentence_and_probe(said) for said in run.because.get(name, [])])
            for name in run.contrasts
        ],
        checklists=report.checklists,
        model=model_facts(report.bundle, report.without_bundle),
        made=made_by(run),
        sentences=[str(one) for one in run.metrics.get("sentences") or []],
    )


def _names(run: EvaluationRun) -> set[str]:
    """Names that a sentence may hold and that are no plain words: contrasts, classes, decisions."""
    task: Any = run.metrics.get("task")
    told: Mapping[str, Any] = task if isinstance(task, Mapping) else {}
    found = {*run.contrasts, *(told.get("contrasts") or ()), *(told.get("classes") or ())}
    found |= {str(entry.get("label") or "") for entry in run.metrics.get("gallery") or () if isinstance(entry, Mapping)}
    return {name for name in found if name and words(name).lower() != name}


def _wrong(entry: Mapping[str, Any]) -> str:
    """In which contrast a film went wrong, and how far."""
    contrast, score = entry.get("contrast"), entry.get("score")
    if not contrast or not isinstance(score, int | float):
        return str(entry.get("reason") or "")
    return f"{words(str(contrast))}: {100 * score:.0f} %"


def _card(film: GalleryFilm) -> dict[str, Any]:
    entry = film.entry
    probabilities = entry.get("probabilities")
    ranked = sorted(probabilities.items(), key=lambda item: -item[1]) if isinstance(probabilities, Mapping) else []
    decided = entry.get("decision") or entry.get("predicted") or (ranked[0][0] if ranked else None)
    return {
        "name": str(entry.get("image_id") or Path(str(entry.get("path") or "film")).name),
        "is": words(str(entry["label"])) if entry.get("label") else "",
        "called": words(str(decided)) if decided else "",
        "source": str(entry.get("source") or ""),
        "ranked": [(words(str(name)), f"{100 * value:.0f} %") for name, value in ranked[:4]],
        "reason": _wrong(entry),
        "picture": film.picture,
        "shows": None if film.shows is None else words(film.shows),
        "why": film.why,
    }
