"""`carina report`: an evaluation as one page to be read, printed and passed on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="Folder that `carina evaluate --out` wrote.")],
    out: Annotated[Path | None, typer.Option(help="HTML file; report.html in RUN if left out.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also a PDF beside it; needs the extra 'report'.")] = False,
    cohort: Annotated[
        Path | None, typer.Option(help="Folder of `carina cohort`, for its flow diagram and the guidelines.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the films, where they lie elsewhere by now.")] = None,
    model: Annotated[str | None, typer.Option(help="Bundle, where it lies elsewhere by now.")] = None,
    films: Annotated[int, typer.Option(min=0, max=200, help="Most films that went wrong.")] = 12,
    title: Annotated[str | None, typer.Option(help="Heading.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written, and the guidelines' counts.")
    ] = False,
) -> None:
    """Show an evaluation: summary for a clinician, curves, subgroups, failures, shortcut audit, filled guidelines.

    Writes report.html, which needs no other file, checklists.json (CLAIM 2024, TRIPOD+AI, STARD-AI, PROBAST+AI) and
    MODEL_CARD.md.

    Example: carina report evaluation --pdf
    """
    from carina.cli.extras import require_extra  # noqa: PLC0415 - verbs import inside their function

    require_extra("study", "matplotlib", verb="report")
    if pdf:
        require_extra("report", "weasyprint", verb="report --pdf")
    from carina.cli.progress import counting  # noqa: PLC0415 - as above
    from carina.report import ReportOptions, make_report, write_pdf, write_report  # noqa: PLC0415 - as above
    from carina.report.evaluation_gallery import gallery_entries  # noqa: PLC0415 - as above
    from carina.report.evaluation_run import read_run  # noqa: PLC0415 - as above

    options = ReportOptions(cohort=cohort, data=data, model=model, films=films, title=title)
    shown = min(films, len(gallery_entries(read_run(run))))
    with counting(shown, "films read again") as done:
        made = make_report(run, options, done=done)
    written = list(write_report(made, out))
    if pdf:
        written.append(write_pdf(made, written[0].with_suffix(".pdf")))
    if as_json:
        counts = {one.name: one.to_dict()["counts"] for one in made.checklists}
        typer.echo(json.dumps({"written": [str(path) for path in written], "guidelines": counts}))
        return
    typer.echo(made.summary.verdict)
    for one in made.checklists:
        met, missing, people = (one.count(status) for status in ("met", "NOT SHOWN", "for the authors"))
        typer.echo(f"{one.name}: {met} met, {missing} not shown, {people} for the authors")
    unread = sum(film.picture is None for film in made.gallery)
    if unread:
        typer.echo(f"{unread} of {len(made.gallery)} failures are not shown; name the films' folder with --data")
    for path in written:
        typer.echo(str(path))
