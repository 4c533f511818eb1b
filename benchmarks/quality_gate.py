"""Measure the quality gate on films and pictures it was not fitted on; prints the tables of docs/quality_gate.md.

Run: ``python benchmarks/quality_gate.py --data ../shared/data``. Intervals are Clopper-Pearson, 95 %.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import beta

from carina.errors import FilmRejectedError
from carina.imaging import read_film
from carina.imaging.phantom import LABELS, phantom_film
from carina.imaging.quality import check_rules
from carina.inference.gate import QualityGate
from carina.networks.gate_data import GateFilm, Picture, gate_films, other_pictures
from carina.types import Film, FilmHeader

APART = ("hannover", "cohen", "cxnet_no_release", "boxes")
NAMES = ("", "rotated_90_clockwise", "rotated_180", "rotated_90_counterclockwise")


def exact(count: int, of: int) -> str:
    """Count, share and its exact interval."""
    if of == 0:
        return "none"
    low = 0.0 if count == 0 else float(beta.ppf(0.025, count, of - count + 1))
    high = 1.0 if count == of else float(beta.ppf(0.975, count + 1, of - count))
    return f"{count}/{of} = {count / of:.2%} ({low:.2%}-{high:.2%})"


def spoilt(film: Film, state: int) -> tuple[Film, tuple[str, ...]]:
    """Turn and invert a film; with the corrections that must follow."""
    turns, inverted = divmod(state, 2)
    pixels = np.rot90(film.pixels, turns)
    pixels = np.ascontiguousarray(1.0 - pixels if inverted else pixels, dtype=np.float32)
    return replace(film, pixels=pixels), (("inverted",) if inverted else ()) + ((NAMES[turns],) if turns else ())


def measured_films(data: Path) -> Iterator[tuple[str, GateFilm]]:
    """Films that took no part in fitting or tuning, with the name of their group."""
    for film in gate_films(data):
        if film.part == "held_out":
            yield f"held out, {film.source}", film
        elif film.part in APART:
            yield film.part, film


def films_table(gate: QualityGate, films: list[tuple[str, GateFilm]], out: Path | None) -> None:
    """Wrongly refused and wrongly corrected, by film and by patient."""
    refused: dict[str, list[bool]] = defaultdict(list)
    altered: Counter[str] = Counter()
    patients: dict[str, dict[str, bool]] = defaultdict(dict)
    for group, entry in films:
        film = read_film(entry.path)
        _, quality = gate.check(film)
        for name in {group, "held out, all"} if group.startswith("held out") else {group}:
            refused[name].append(not quality.accepted)
            altered[name] += bool(quality.corrected)
            patients[name][entry.patient_id] = patients[name].get(entry.patient_id, False) or not quality.accepted
        if not quality.accepted or quality.corrected:
            print(f"  {group} {entry.image_id}: {quality.corrected or '; '.join(quality.reasons)}")
            if out is not None:
                cv2.imwrite(str(out / f"{entry.image_id}.png"), film.pixels * 255)
    print("\n| group | films refused | patients with a refused film | upright films altered |\n|---|---|---|---|")
    for name, values in sorted(refused.items()):
        told = patients[name]
        print(
            f"| {name} | {exact(sum(values), len(values))} | {exact(sum(told.values()), len(told))} | "
            f"{exact(altered[name], len(values))} |"
        )


def states_table(gate: QualityGate, films: list[tuple[str, GateFilm]]) -> None:
    """Each of the seven wrong states: righted, refused, or let through wrong."""
    counts: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for group, entry in films:
        if not group.startswith("held out") and group != "hannover":
            continue
        film = read_film(entry.path)
        name = "held out" if group.startswith("held out") else group
        for state in range(1, 8):
            wrong, expected = spoilt(film, state)
            _, quality = gate.check(wrong)
            outcome = "refused" if not quality.accepted else "righted" if quality.corrected == expected else "wrong"
            counts[name, state][outcome] += 1
    print(
        "\n| group | state (turns counter-clockwise) | righted | refused | let through wrong |\n|---|---|---|---|---|"
    )
    for (name, state), found in sorted(counts.items()):
        what = f"{state // 2 * 90} degrees{', inverted' if state % 2 else ''}"
        total = sum(found.values())
        print(f"| {name} | {what} | {exact(found['righted'], total)} | {found['refused']} | {found['wrong']} |")


def _outcome(gate: QualityGate, film: Film | None) -> str:
    """How a picture ends; unread counts as refused by the reader."""
    if film is None:
        return "not read"
    quality = gate.check(film)[1]
    return (
        "let through"
        if quality.accepted
        else "refused by rule"
        if "whole" not in quality.scores
        else "refused by network"
    )


def _read(picture: Picture) -> Film | None:
    try:
        return read_film(picture.path)
    except FilmRejectedError:
        return None


def pictures_table(gate: QualityGate, half: str) -> None:
    """Pictures that are no chest film: with their header, without it, and enlarged past the rules of size."""
    ways: dict[str, list[tuple[Picture, str]]] = defaultdict(list)
    for picture in other_pictures():
        if picture.half != half:
            continue
        film = _read(picture)
        if film is None:
            continue
        bare = replace(film, header=FilmHeader("png"))
        large = replace(bare, pixels=cv2.resize(film.pixels, (256, 256), interpolation=cv2.INTER_AREA))
        for way, one in (("as they are", film), ("without header", bare), ("without header, as 256 x 256", large)):
            ways[way].append((picture, _outcome(gate, one)))
    print(f"\n| pictures, half {half} | files let through | subjects let through | by rule | by network |")
    print("|---|---|---|---|---|")
    for way, found in ways.items():
        through = [picture for picture, outcome in found if outcome == "let through"]
        subjects = {picture.subject for picture, _ in found}
        count = Counter(outcome for _, outcome in found)
        passed = {picture.subject for picture in through}
        print(
            f"| {way} | {exact(len(through), len(found))} | {exact(len(passed), len(subjects))} | "
            f"{count['refused by rule']} | {count['refused by network']} |"
        )
        for picture in through:
            print(f"  let through, {way}: {picture.path.name} ({picture.subject})")


def cropped_table(gate: QualityGate, data: Path) -> None:
    """Films with lung masks, one side cut away step by step: refused by the share of the lungs that is gone."""
    refused: dict[int, list[bool]] = defaultdict(list)
    for entry in gate_films(data):
        mask_file = data / "cxr" / "masks" / f"{entry.image_id}.png"
        if entry.part in {"fit", "tune"} or not mask_file.is_file():
            continue
        mask, film = cv2.imread(str(mask_file), cv2.IMREAD_GRAYSCALE) > 0, read_film(entry.path)
        for cut in np.arange(0.0, 0.65, 0.05):
            for turns in range(4):
                rows = round(film.pixels.shape[turns % 2] * cut)
                kept = np.rot90(np.rot90(film.pixels, turns)[rows:], -turns)
                gone = 1.0 - np.rot90(mask, turns)[rows:].sum() / mask.sum()
                quality = gate.check(replace(film, pixels=np.ascontiguousarray(kept)))[1]
                refused[min(int(gone * 10), 6)].append(not quality.accepted)
    print("\n| share of the lungs cut off | films refused |\n|---|---|")
    for step, values in sorted(refused.items()):
        upper = "and more" if step == 6 else f"to {step * 10 + 10} %"
        print(f"| {step * 10} % {upper} | {exact(sum(values), len(values))} |")


def others(gate: QualityGate, data: Path) -> None:
    """Real DICOM films, the chest film among pydicom's files, phantoms, and the time a film takes."""
    chest: Iterable[Path] = (p.path for p in other_pictures() if p.half == "chest")
    for path in (*sorted((data / "dicom").glob("*.dcm")), *chest):
        try:
            quality = gate.check(read_film(path))[1]
        except FilmRejectedError as error:
            print(f"{path.name}: not read, {error.message}")
            continue
        print(f"{path.name}: accepted {quality.accepted}, corrected {quality.corrected}, {quality.reasons}")
    phantoms = [phantom_film(seed, label=LABELS[seed % len(LABELS)]).pixels for seed in range(40)]
    verdicts = [gate.check(Film(pixels, FilmHeader("dicom"), "0" * 64))[1] for pixels in phantoms]
    print(f"phantoms refused: {exact(sum(not v.accepted for v in verdicts), len(verdicts))}")
    print(f"phantoms altered: {exact(sum(bool(v.corrected) for v in verdicts), len(verdicts))}")
    film = Film(phantoms[0], FilmHeader("png"), "0" * 64)
    for name, run in (
        ("rules", lambda: check_rules(film)),
        ("rules and network", lambda: gate.check(film)),
    ):
        times = []
        for _ in range(200):
            begun = time.perf_counter()
            run()
            times.append(time.perf_counter() - begun)
        print(f"{name}, 512 x 512: median {np.median(times) * 1e3:.2f} ms, one thread")


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the real films")
    parser.add_argument("--gate", type=Path, help="folder of another gate than the packaged one")
    parser.add_argument("--out", type=Path, help="existing folder for the films refused or altered, to look at")
    arguments = parser.parse_args()
    gate = QualityGate.load(arguments.gate)
    print(f"thresholds: {gate.thresholds}")
    films = list(measured_films(arguments.data))
    others(gate, arguments.data)
    for half in ("held_out", "fit"):
        pictures_table(gate, half)
    films_table(gate, films, arguments.out)
    cropped_table(gate, arguments.data)
    states_table(gate, films)


if __name__ == "__main__":
    main()
