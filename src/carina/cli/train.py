"""`carina train`: from a film table to a model bundle (M11, M20, M24, M25)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from carina.cli.extras import require_extra

__all__ = ["train"]


def train(
    table: Annotated[Path, typer.Argument(help="Film table, CSV or Parquet.")],
    out: Annotated[Path, typer.Option("--out", help="Run folder; the bundle is written to its `bundle`.")],
    task: Annotated[
        Path | None, typer.Option("--task", help="Task file; default: the four classes of pneumonia.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Packaged recipe (pneumonia, pneumonia-seed) or a TOML file.")
    ] = None,
    network: Annotated[
        str | None, typer.Option("--network", help="efficientnet_lite0, densenet121 or seed_cnn.")
    ] = None,
    convolutions: Annotated[
        int | None, typer.Option("--convolutions", help="seed_cnn: number of convolutions.")
    ] = None,
    size: Annotated[int | None, typer.Option("--size", help="Side of the network's input, pixels.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Most passes over the training films.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Films a step.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of split, weights, draws and augmentation.")] = None,
    augmentation: Annotated[str | None, typer.Option("--augmentation", help="none, basic (M24) or strong.")] = None,
    precision: Annotated[str | None, typer.Option("--precision", help="32-true, bf16-mixed or 16-mixed.")] = None,
    paper_sizes: Annotated[
        bool, typer.Option("--paper-sizes", help="Draw the paper's class sizes each epoch (M25).")
    ] = False,
    where: Annotated[
        list[str] | None, typer.Option("--where", help="Keep only rows with COLUMN=VALUE; may be given again.")
    ] = None,
    hold_out: Annotated[
        Path | None,
        typer.Option("--hold-out", help="CSV with an image_id column: these films' patients go to `test` only."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse labels outside the task.")] = False,
    name: Annotated[str, typer.Option("--name", help="Name of the bundle.")] = "model",
    bundle_version: Annotated[str, typer.Option("--bundle-version", help="Version of the bundle.")] = "1.0.0",
    accelerator: Annotated[str, typer.Option("--accelerator", help="auto, cpu or gpu.")] = "auto",
    devices: Annotated[int, typer.Option("--devices", min=1, help="GPUs (or CPU processes) a node.")] = 1,
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Machines.")] = 1,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    learning_curve: Annotated[
        str | None, typer.Option("--learning-curve", help="Shares of the training patients, such as 0.25,0.5,1 (M5).")
    ] = None,
    open_test: Annotated[
        bool, typer.Option("--open-test", help="Judge the finished model on `test`, once; the opening is logged.")
    ] = False,
) -> None:
    """Train a network on a film table and write a calibrated model bundle.

    A run that was interrupted goes on from its last finished epoch when the same command is given again.

    Example: carina train films.csv --network seed_cnn --size 64 --epochs 8 --out runs/seed
    """
    require_extra("train", "torch", "lightning", "monai", "kornia", "onnx", "onnxscript")
    from carina.cli.progress import growing  # noqa: PLC0415 -- heavy imports stay inside
    from carina.networks.recipe import Recipe, load_recipe  # noqa: PLC0415 -- as above
    from carina.networks.release import TrainingOrder, train_bundle  # noqa: PLC0415 -- as above
    from carina.networks.training import Machine  # noqa: PLC0415 -- as above
    from carina.tasks import default_task, load_task  # noqa: PLC0415 -- as above

    base = load_recipe(recipe) if recipe else Recipe()
    changes: dict[str, Any] = {
        "network": network,
        "convolutions": convolutions,
        "size": size,
        "epochs": epochs,
        "batch": batch,
        "seed": seed,
        "augmentation": augmentation,
        "precision": precision,
        "paper_sizes": paper_sizes or None,
    }
    if network is not None and network != base.network:
        changes["pretrained"] = network == "efficientnet_lite0"
    order = TrainingOrder(
        table=table,
        out=out,
        task=load_task(task) if task else default_task(),
        recipe=base.changed({key: value for key, value in changes.items() if value is not None}),
        machine=Machine(accelerator=accelerator, devices=devices, nodes=nodes, threads=threads),
        where=tuple(where or ()),
        hold_out=hold_out,
        strict=strict,
        name=name,
        version=bundle_version,
        learning_curve=learning_curve,
        open_test=open_test,
    )
    with growing("films read") as progress:
        bundle = train_bundle(order, progress)
    typer.echo(f"bundle written to {bundle}")
