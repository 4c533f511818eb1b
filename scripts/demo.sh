#!/usr/bin/env bash
# Carina from a hospital's films and records to a judged model, in a few minutes on two cores. The hospital is
# synthetic, its films are phantoms: nobody's.
# Usage: scripts/demo.sh [FOLDER]      PYTHON names the interpreter that has Carina with its extras `train` and `study`.
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=${1:-demo}
export PYTHON=${PYTHON:-python}
BEGIN=$SECONDS
STUDY="$OUT/study"
TABLE="$STUDY/cohort/film_table.parquet"

say() { printf '\n\033[1m%s\033[0m\n' "$1"; }
# Prints a command as a person would type it, runs it, and lets "some films were refused" (3) pass.
run() {
    printf '$ carina'
    printf ' %q' "$@"
    printf '\n'
    "$PYTHON" -c 'from carina.cli import main; main()' "$@" || [ $? -eq 3 ]
}

if [ -e "$OUT/hospital" ]; then
    echo "an earlier demo lies in $OUT: remove it (make clean) or name another folder" >&2
    exit 2
fi

say "1. A hospital's films and records, in; a labelled cohort without identifiers, out; every label held to the truth"
PATIENTS=${PATIENTS:-220} RULES=scripts/demo_rules.toml bash scripts/hospital.sh "$OUT"

say "2. A short training of the seed CNN on that cohort"
run train "$TABLE" --recipe scripts/demo.toml --threads 1 --name demo --out "$OUT/model"

say "3. The model judged on the cohort's test patients, with intervals and the shortcut audit, as a page"
run evaluate "$OUT/model/bundle" "$TABLE" --out "$OUT/evidence"
run report "$OUT/evidence"

say "4. New films read with the shipped model, in a process where importing torch fails: lungs, boxes, opacity"
run phantom "$OUT/new" --films 16 --seed 5000 --size 512 --workers 2
printf '$ carina predict %s --out %s\n' "$OUT/new/films" "$OUT/readings"
"$PYTHON" - predict "$OUT/new/films" --out "$OUT/readings" <<'PY' || [ $? -eq 3 ]
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
run page "$OUT/readings" --out "$OUT/page.html" --title "Carina demo: phantom films"
echo "(A phantom is not a patient: the shipped model learned from real films, so its reading of a phantom means nothing.)"

say "Done in $((SECONDS - BEGIN)) s"
HERE=$(cd "$OUT" && pwd)
echo "The cohort's flow:   $HERE/study/cohort/flow.svg"
echo "The model's report:  $HERE/evidence/report.html"
echo "The films read:      $HERE/page.html"
echo "Read your own film:  carina predict YOUR_FILM.dcm --out readings && carina page readings"
