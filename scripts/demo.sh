#!/usr/bin/env bash
# Carina from phantom films to a page of readings, in a few minutes on two cores. Needs no film of anybody.
# Usage: scripts/demo.sh [FOLDER]      PYTHON names the interpreter that has Carina with its extra `train`.
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=${1:-demo}
PYTHON=${PYTHON:-python}
BEGIN=$SECONDS

say() { printf '\n\033[1m%s\033[0m\n' "$1"; }
# Prints a command as a person would type it, runs it, and lets "some films were refused" (3) pass.
run() {
    printf '$ carina'
    printf ' %q' "$@"
    printf '\n'
    "$PYTHON" -c 'from carina.cli import main; main()' "$@" || [ $? -eq 3 ]
}

say "1. Phantom films: 240 to learn from, 16 of other patients to read (DICOM, with masks, boxes and demographics)"
run phantom "$OUT/films" --films 240 --seed 1000 --size 256 --workers 2
run phantom "$OUT/new" --films 16 --seed 5000 --size 512 --workers 2

say "2. A short training of the seed CNN on them"
run train "$OUT/films/films.csv" --recipe scripts/demo.toml --threads 1 --name demo --out "$OUT/model"

say "3. Reading the new films with that model"
run predict "$OUT/new/films" --model "$OUT/model/bundle" --out "$OUT/readings"

say "4. A page of films with heatmaps"
run page "$OUT/readings" --out "$OUT/page.html" --title "Carina demo: phantom films"

say "5. The same films with the shipped model, in a process where importing torch fails: lungs, boxes, opacity"
printf '$ carina predict %s --out %s\n' "$OUT/new/films" "$OUT/shipped"
"$PYTHON" - predict "$OUT/new/films" --out "$OUT/shipped" <<'PY' || [ $? -eq 3 ]
import sys


class NoTorch:
    """Refuse torch as if it were not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "lightning", "monai", "kornia"}:
            raise ModuleNotFoundError(f"No module named {name!r} (blocked by the demo)", name=name)


sys.meta_path.insert(0, NoTorch())
try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    print(f"import torch: {error}")
else:
    sys.exit("torch could be imported; the demo must run without it")

from carina.cli import main  # noqa: E402

main()
PY
run page "$OUT/shipped" --out "$OUT/layers.html" --title "Carina demo: lungs, boxes and opacity"
echo "(A phantom is not a patient: the shipped model learned from real films, so its reading of a phantom means nothing.)"

say "Done in $((SECONDS - BEGIN)) s"
echo "Open the pages:      $(cd "$OUT" && pwd)/page.html and layers.html"
echo "Read your own film:  carina predict YOUR_FILM.dcm --out readings && carina page readings"
