#!/usr/bin/env bash
# Puts the clients of package-lock.json and requirements.txt under "${SIWA_PEERS_DIR:-target/peers}", where
# tests/tests/peers finds them. Needs node 20 with npm and python3 with venv, or apt-get to get them. Does nothing where
# the same was installed before.
set -euo pipefail
sources=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$sources/../.."
folder=${SIWA_PEERS_DIR:-${CARGO_TARGET_DIR:-target}/peers}
locks=$(cd "$sources" && sha256sum package.json package-lock.json requirements.txt | sha256sum)

missing=()
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
  echo "node $(node --version) is too old: the clients need 20" >&2
  exit 1
fi

if [ -x "$folder/venv/bin/python" ] && [ "$(cat "$folder/stamp" 2>/dev/null)" = "$locks" ]; then
  exit 0
fi
mkdir -p "$folder"
rm -rf "$folder/stamp" "$folder/node_modules" "$folder/venv"
cp "$sources/package.json" "$sources/package-lock.json" "$folder/"
(cd "$folder" && npm ci --no-audit --no-fund --ignore-scripts)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check -r "$sources/requirements.txt"
echo "$locks" >"$folder/stamp"
