"""What a reader sees: self-contained pages of films, readings and evaluations."""

from __future__ import annotations

from carina.report.checklists import Checklist, Item, fill_checklists, load_checklists
from carina.report.comparison_page import write_comparison
from carina.report.evaluation_card import run_card
from carina.report.evaluation_files import write_pdf, write_report
from carina.report.evaluation_page import Report, ReportOptions, make_report, render_report
from carina.report.evaluation_run import EvaluationRun, read_run
from carina.report.explain_page import write_explain_page
from carina.report.page import PageOptions, write_page
from carina.report.readings import FilmReading, Readings, read_readings

__all__ = [
    "Checklist",
    "EvaluationRun",
    "FilmReading",
    "Item",
    "PageOptions",
    "Readings",
    "Report",
    "ReportOptions",
    "fill_checklists",
    "load_checklists",
    "make_report",
    "read_readings",
    "read_run",
    "render_report",
    "run_card",
    "write_comparison",
    "write_explain_page",
    "write_page",
    "write_pdf",
    "write_report",
]
