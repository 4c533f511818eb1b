#!/usr/bin/env bash
# Every benchmark, one after the other. Usage: scripts/bench.sh [DATA]
# DATA is a folder of real films (cxr/images.csv); without it phantom films stand in where any film will do.
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${1:-../shared/data}
PYTHON=${PYTHON:-python}
FILMS=$DATA/cxr/images

if [ ! -d "$FILMS" ]; then
    echo "no real films in $DATA: phantom films stand in, and what needs real ones is left out"
    FILMS=$(mktemp -d)
    trap 'rm -rf "$FILMS"' EXIT
    "$PYTHON" -m carina phantom "$FILMS" --films 64 --workers 2
fi

failed=0
for script in benchmarks/[!_]*.py; do
    arguments=()
    if grep -q -- '"--films"' "$script"; then
        arguments=(--films "$FILMS")
    elif grep -q -- '"--data"' "$script"; then
        arguments=(--data "$DATA")
    elif grep -q 'images.csv' "$script"; then
        arguments=("$DATA/cxr/images.csv")
    fi
    if [ "${arguments[*]-}" != "" ] && [ ! -e "${arguments[-1]}" ]; then
        printf '\n== %s: left out, it needs the real films\n' "$script"
        continue
    fi
    printf '\n== %s\n' "$script"
    "$PYTHON" "$script" "${arguments[@]}" || failed=1
done
exit "$failed"
