#!/usr/bin/env bash
# compare-instances.sh <url1> <url2> [...]: prove that these instances run the same, published code.
# A thin entry point with the name that users of the toy example know; `twinproof compare --help` has the flags.
set -euo pipefail
if [ "$#" -lt 2 ]; then
  echo "usage: $0 <url1> <url2> [more urls or flags of twinproof compare]" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -x "$here/.venv/bin/twinproof" ]; then
  exec "$here/.venv/bin/twinproof" compare "$@"
fi
command -v twinproof >/dev/null || {
  echo "twinproof is not installed: run \`make setup\` in $here" >&2
  exit 2
}
exec twinproof compare "$@"
