#!/usr/bin/env bash
# From a synthetic hospital to a labelled cohort, compared with the truth film by film. Needs no film of anybody.
# Usage: scripts/hospital.sh [FOLDER]     PYTHON names the interpreter that has Carina with its extra `study`;
#        PATIENTS, SEED, WORKERS, RULES (a TOML file over the packaged ones), and ARCHIVE (a database URL, SQLite in the
#        study if left out) choose the rest.
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=${1:-hospital}
PYTHON=${PYTHON:-python}
PATIENTS=${PATIENTS:-60}
SEED=${SEED:-1}
WORKERS=${WORKERS:-2}
ARCHIVE=${ARCHIVE:-}
RULES=${RULES:-}

# Prints a command as a person would type it, runs it, and lets "some films or rows were refused" (3) pass: a hospital
# has bad rows and broken films, and this one has them on purpose.
run() {
    printf '\n$ carina'
    printf ' %q' "$@"
    printf '\n'
    local begin=$SECONDS
    "$PYTHON" -c 'from carina.cli import main; main()' "$@" || [ $? -eq 3 ]
    printf '(%s s)\n' "$((SECONDS - begin))"
}

H="$OUT/hospital"
S="$OUT/study"
run synth hospital --patients "$PATIENTS" --seed "$SEED" --workers "$WORKERS" --out "$H"
if [ -n "$ARCHIVE" ]; then run init "$S" --kind research --archive "$ARCHIVE"; else run init "$S" --kind research; fi
run ingest "$S" "$H/films" --workers "$WORKERS"
# Films with much writing blanked wait for somebody who looks at them; these are phantoms.
run ingest "$S" "$H/films" --workers "$WORKERS" --review accept
run records "$S" --admissions "$H/admissions.csv" --vitals "$H/vitals.csv" --reads "$H/reads.csv" \
    --microbiology "$H/microbiology.csv" --mapping "$H/mapping.toml"
if [ -n "$RULES" ]; then run cohort "$S" --rules "$RULES"; else run cohort "$S"; fi
run deid verify "$S" --workers "$WORKERS"

printf '\n$ python scripts/check_hospital.py %q %q\n' "$H" "$S"
"$PYTHON" scripts/check_hospital.py "$H" "$S" --out "$OUT/differences.csv"
