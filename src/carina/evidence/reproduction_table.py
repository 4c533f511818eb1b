"""A reproduction as Markdown: measured tables, and what was published in a table of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from carina.evidence.reproduction_decided import OWN, WAYS

__all__ = ["markdown"]

_SHOWN = (*(f"accuracy, {way}" for way in WAYS), "auc", "sensitivity", "specificity", "ppv", "npv", "accuracy")
_RUN_COLUMNS = (
    *(
        "arm",
        "run",
        "train",
        "tune",
        "calibrate",
        "test",
        "patients shared",
        "near-duplicates shared",
        f"accuracy, {OWN}",
    ),
    "training, s",
)


def markdown(values: Mapping[str, Any]) -> str:
    """Write ``reproduction.md`` from the content of ``reproduction.json``."""
    table = values["table"]
    what = (
        f"doi:{values['doi']}, repeated with carina {values['carina']} on {table['films']} films of "
        f"{table['patients']} patients (table sha-256 `{table['sha256'][:12]}`)."
    )
    return "\n".join(
        [
            f"# {values['title']}",
            "",
            what,
            "",
            *(f"- {sentence}" for sentence in (*values["what"], *values["sentences"])),
            "",
            *_measured(values),
            *_runs(values),
            *_confusions(values),
            *_published(values),
        ]
    )


def _measured(values: Mapping[str, Any]) -> Iterator[str]:
    yield "## Measured here"
    yield ""
    yield (
        "Mean and range over the runs, then the first run with its interval (PPV and NPV at the level of their family, "
        "M31); first film of each patient of the test part. All measures and runs are in `reproduction.json`. *As "
        "published*: films dealt one by one. *By patient*: films of a patient, and near-duplicates, on one side."
    )
    yield ""
    yield "| contrast | measure | among | as published | by patient | shortcut audit |"
    yield "|---|---|---|---|---|---|"
    lines: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
    for line in values["summary"]:
        if line["measure"] not in _SHOWN:
            continue
        lines.setdefault((line["contrast"], line["measure"], line["denominator"]), {})[line["arm"]] = line
    for (contrast, measure, among), arms in lines.items():
        cells = [_spread(arms.get(arm)) for arm in ("as_published", "by_patient")]
        said = sorted({verdict for line in arms.values() for verdict in line["verdicts"]})
        verdicts = " / ".join(said) if said else "not audited"
        yield f"| {contrast} | {measure} | {among.replace('_', ' ')} | {cells[0]} | {cells[1]} | {verdicts} |"
    yield ""


def _spread(line: Mapping[str, Any] | None) -> str:
    if line is None or line["mean"] is None:
        return "not estimable"
    few = "" if line["estimable"] == line["runs"] else f", {line['estimable']} of {line['runs']} runs"
    first = line["first_run"]
    one = f"; {first['value']:.3f} [{first['low']:.3f}, {first['high']:.3f}]" if first.get("low") is not None else ""
    return f"{line['mean']:.3f} ({line['least']:.3f} to {line['most']:.3f}{few}){one}"


def _runs(values: Mapping[str, Any]) -> Iterator[str]:
    yield "## Runs"
    yield ""
    yield f"| {' | '.join(_RUN_COLUMNS)} |"
    yield f"|{'---|' * len(_RUN_COLUMNS)}"
    for run in values["runs"]:
        films = run["films"]
        cells = [run["arm"].replace("_", " "), run["run"], *(films[part] for part in _RUN_COLUMNS[2:6])]
        cells += [
            run["leaks"]["patients"],
            run["leaks"]["near_duplicates"],
            _own_accuracy(run),
            round(run["training_seconds"]),
        ]
        yield f"| {' | '.join(map(str, cells))} |"
    yield ""
    yield from (f"- {warning}" for warning in dict.fromkeys(run["warning"] for run in values["runs"]))
    yield from (f"- {said}" for said in dict.fromkeys(said for run in values["runs"] for said in run["sentences"]))
    yield ""


def _own_accuracy(run: Mapping[str, Any]) -> str:
    if run["decided"] is None:
        return "withheld"
    found = run["decided"][OWN]["accuracy"]
    if found["value"] is None or found["low"] is None:
        return "not estimable"
    return f"{found['value']:.3f} ({found['low']:.3f}-{found['high']:.3f})"


def _confusions(values: Mapping[str, Any]) -> Iterator[str]:
    yield "## Class by most probable class, films of all runs"
    yield ""
    if any(run["decided"] is None for run in values["runs"]):
        yield "Withheld: no shortcut audit."
        yield ""
        return
    yield (
        "By the network's own probabilities, as studies count, and by the calibrated ones: there, what no source shows "
        "side by side is held within a likelihood ratio (M36), which can leave a class that no film is called."
    )
    yield ""
    for arm in ("as_published", "by_patient"):
        runs = [run for run in values["runs"] if run["arm"] == arm]
        for way in WAYS if runs else ():
            yield f"{arm.replace('_', ' ').capitalize()}, {way}; rows are the label:"
            yield ""
            yield from _confusion(runs, way)
            yield ""


def _confusion(runs: Sequence[Mapping[str, Any]], way: str) -> Iterator[str]:
    classes = runs[0]["classes"]
    yield f"| | {' | '.join(classes)} | right |"
    yield f"|{'---|' * (len(classes) + 2)}"
    for place, name in enumerate(classes):
        row = [sum(run["decided"][way]["confusion"][place][column] for run in runs) for column in range(len(classes))]
        share = f"{row[place] / sum(row):.1%}" if sum(row) else "not estimable"
        yield f"| {name} | {' | '.join(map(str, row))} | {share} |"


def _published(values: Mapping[str, Any]) -> Iterator[str]:
    yield "## Published, on other films"
    yield ""
    if not values["published"]:
        yield "Nothing that is known here."
        yield ""
        return
    yield "| figure | value | on | source | checked against |"
    yield "|---|---|---|---|---|"
    for one in values["published"]:
        checked = one.get("checked") or "not checked"
        yield f"| {one['figure']} | {one['value']:g} | {one['on']} | {one['source']} | {checked} |"
    yield ""
