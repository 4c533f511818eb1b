"""Files of a report: HTML, guidelines, model card, and PDF where its library is installed."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from carina.errors import MissingExtraError, OutputError
from carina.report.evaluation_card import run_card
from carina.report.evaluation_page import Report, render_report
from carina.report.html import write_whole

__all__ = ["write_pdf", "write_report"]

_SCHEMA = 1


def write_report(report: Report, out: Path | None = None) -> tuple[Path, ...]:
    """Write ``report.html``, ``checklists.json`` and ``MODEL_CARD.md``, each whole or not at all.

    Parameters
    ----------
    report : Report
    out : Path, optional
        HTML file; ``report.html`` in the run's folder by default. The others always go into the run's folder, to which
        the links lead.

    Returns
    -------
    tuple of Path

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    folder = report.run.folder
    page = folder / "report.html" if out is None else out
    record = {
        "schema": _SCHEMA,
        "run": {"model": report.run.model, "created": report.run.metrics.get("created")},
        "guidelines": [one.to_dict() for one in report.checklists],
    }
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(folder / "checklists.json", text.encode())
    write_whole(folder / "MODEL_CARD.md", run_card(report).encode())
    write_whole(page, render_report(report).encode("utf-8", "replace"))
    return page, folder / "checklists.json", folder / "MODEL_CARD.md"


def write_pdf(report: Report, out: Path) -> Path:
    """Write the report as PDF.

    Parameters
    ----------
    report : Report
    out : Path

    Returns
    -------
    Path

    Raises
    ------
    MissingExtraError
        If WeasyPrint is not installed.
    OutputError
        If the system lacks Pango, which WeasyPrint draws text with, or the file cannot be written.
    """
    try:
        import weasyprint  # noqa: PLC0415 - of the extra 'report'
    except ImportError as error:
        raise MissingExtraError("report --pdf", "report") from error
    except OSError as error:
        raise OutputError(
            "a PDF needs the system's Pango library, which is not there: on Debian install libpango-1.0-0 and "
            "libpangoft2-1.0-0, or print report.html from a browser"
        ) from error
    logging.getLogger("weasyprint").setLevel(logging.ERROR)  # it warns of every CSS property meant for screens
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols={"data"})  # a report asks no host and no file
    document = weasyprint.HTML(string=render_report(report, paper=True), url_fetcher=fetcher)
    write_whole(out, document.write_pdf())
    return out
