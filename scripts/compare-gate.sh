#!/usr/bin/env bash
# What action.yml runs: install, compare, keep the reports, and end with the exit code of the comparison.
# Reads TARGETS, VERSION, EXPECT, REQUIRE, TRUST_ROOT, CONFIG, REPORTS and SOURCE from its environment.
set -euo pipefail

if [ -z "${TWINPROOF:-}" ]; then
  environment=$(mktemp -d)
  python3 -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet "${VERSION:-$SOURCE[web]}"
  TWINPROOF="$environment/bin/twinproof"
fi

mkdir -p "$REPORTS"
read -r -d '' -a targets <<<"$TARGETS" || true
flags=(--html "$REPORTS/report.html" --sarif "$REPORTS/report.sarif" --junit "$REPORTS/junit.xml" --save "$REPORTS/evidence")
while IFS= read -r pin; do
  [ -z "$pin" ] || flags+=(--expect "$pin")
done <<<"${EXPECT:-}"
[ -z "${REQUIRE:-}" ] || flags+=(--require "$REQUIRE")
[ -z "${TRUST_ROOT:-}" ] || flags+=(--trust-root "$TRUST_ROOT")
[ -z "${CONFIG:-}" ] || flags+=(--config "$CONFIG")

[ -z "${GITHUB_OUTPUT:-}" ] || echo "reports=$REPORTS" >>"$GITHUB_OUTPUT"
code=0
"$TWINPROOF" compare "${flags[@]}" -- "${targets[@]}" | tee "$REPORTS/report.txt" || code=${PIPESTATUS[0]}
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  { echo '```'; cat "$REPORTS/report.txt"; echo '```'; } >>"$GITHUB_STEP_SUMMARY"
fi
exit "$code"
