"""`carina predict`: films in, a line and a heatmap a film out."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from carina.inference import Bundle, PredictOptions, Reading, Summary

__all__ = ["predict"]

_LISTED = 20
_INTERRUPTED = 130


class EngineName(StrEnum):
    """Inference engines."""

    onnxruntime = "onnxruntime"
    openvino = "openvino"


def predict(
    films: Annotated[
        list[Path], typer.Argument(help="Films, folders walked at any depth, or tables (.csv, .parquet) with `path`.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for predictions.jsonl, predictions.csv, run.json and layers.")],
    model: Annotated[
        str, typer.Option(help="A bundle's folder or zip, or a shipped one: pneumonia, pneumonia-seed.")
    ] = "pneumonia",
    engine: Annotated[EngineName, typer.Option(help="openvino needs the extra of that name.")] = EngineName.onnxruntime,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes, each of the settings' threads.")] = 1,
    ray: Annotated[
        str | None, typer.Option("--ray", help="Address of a Ray cluster's head, HOST:PORT, auto or local.")
    ] = None,
    age: Annotated[
        float | None, typer.Option(min=0, max=130, help="Years, for films whose header and table row say nothing.")
    ] = None,
    prevalence: Annotated[
        str | None,
        typer.Option(help="covid19=0.05,... or a TOML or JSON file: also give probabilities at this class mix."),
    ] = None,
    layers: Annotated[bool, typer.Option(help="Draw heatmap, lung fields and opacity.")] = True,
    lungs: Annotated[bool, typer.Option(help="Find the lung fields.")] = True,
    heatmap_class: Annotated[
        str | None, typer.Option(help="Class to show; else the one decided on, or the most probable.")
    ] = None,
    gate: Annotated[bool, typer.Option(help="Refuse what is no frontal chest film; switch off for research.")] = True,
    settings: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Throw away predictions already in the folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Judge films: calibrated probabilities, a decision, a heatmap and lung fields for each.

    A file that cannot be judged gets a line with its reason and never stops the rest. Run the same command again to go
    on after an interruption: finished films are kept. Exit status: 0 all films judged, 3 some refused, 2 wrong usage,
    130 interrupted. Research use only.

    Example: carina predict film.dcm folder/ --out predictions
    """
    from carina.cli.progress import counting  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.inference import (  # noqa: PLC0415 - as above
        PredictOptions,
        count_films,
        load_bundle,
        parse_prevalence,
        predict_films,
    )
    from carina.settings import load_settings  # noqa: PLC0415 - as above

    options = PredictOptions(
        model=model,
        engine="openvino" if engine is EngineName.openvino else "onnxruntime",
        gate=gate,
        lungs=lungs,
        layers=layers,
        heatmap_class=heatmap_class,
        age=age,
        prevalence=parse_prevalence(prevalence) if prevalence is not None else None,
        settings=load_settings(settings),
        workers=workers,
        ray=ray,
        overwrite=overwrite,
    )
    total = count_films(films, out)
    bundle = load_bundle(model)
    listed: list[Reading] = []
    try:
        with counting(total, "films") as done:

            def on_film(number: int, reading: Reading | None) -> None:
                done(number)
                if reading is not None and total <= _LISTED:
                    listed.append(reading)

            summary = predict_films(films, out, options, bundle=bundle, on_film=on_film)
    except KeyboardInterrupt:
        sys.stderr.write(
            f"carina: interrupted; finished films are kept in {str(out)!r}, run the same command again to go on\n"
        )
        raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps({"out": str(out), "model": bundle.identity, **summary.to_dict()}, ensure_ascii=False))
    else:
        _tell(listed, summary, bundle, options, out)
    raise typer.Exit(summary.exit_status)


def _tell(listed: list[Reading], summary: Summary, bundle: Bundle, options: PredictOptions, out: Path) -> None:
    for reading in listed:
        if reading.error is not None:
            typer.echo(f"{reading.file}: not judged: {reading.error.message} [{reading.error.code}]")
            continue
        shares = ", ".join(f"{name} {share:.2f}" for name, share in (reading.probabilities or {}).items())
        typer.echo(f"{reading.file}: {reading.decision} ({reading.reason})" + (f"; {shares}" if shares else ""))
        if reading.probabilities_at_prevalence is not None:
            moved = ", ".join(f"{name} {share:.2f}" for name, share in reading.probabilities_at_prevalence.items())
            typer.echo(f"  at the prevalence asked for: {moved}")
    kept = f", {summary.kept} of them by an earlier run" if summary.kept else ""
    noun = "film" if summary.films == 1 else "films"
    typer.echo(
        f"{summary.films} {noun}: {summary.judged} judged, {summary.refused} refused, "
        f"{summary.unread} unreadable{kept}; model {bundle.name} {bundle.version}; results in {out}"
    )
    if options.gate and not bundle.task.kind.gated:
        typer.echo(
            f"There is no quality gate for the input {bundle.task.input!r}: whatever could be decoded was judged."
        )
    if bundle.calibration is None:
        typer.echo("The bundle is not calibrated: its probabilities are the network's own, and it decides nothing.")
        return
    mix = ", ".join(f"{name} {bundle.calibration.class_mix[name]:.2f}" for name in bundle.task.classes)
    typer.echo(f"Probabilities belong to the class mix of the calibration films: {mix}.")
    if options.prevalence is not None:
        typer.echo("Probabilities at the prevalence asked for stand beside them; decisions do not depend on it.")
