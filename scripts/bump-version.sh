#!/usr/bin/env bash
# scripts/bump-version.sh major|minor|patch: makes the next version as one tagged commit; the logic is `twinproof bump`.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd -- "$here"
if [ -x "$here/.venv/bin/twinproof" ]; then
  exec "$here/.venv/bin/twinproof" bump "$@"
fi
exec twinproof bump "$@"
