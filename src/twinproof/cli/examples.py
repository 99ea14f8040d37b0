"""What `--help` of a command ends with: lines to copy."""

from __future__ import annotations

__all__ = ["EXAMPLES"]

EXAMPLES = {
    "compare": """\
  twinproof compare https://prod9.example https://prod7.example
  twinproof compare prod9 prod7 --html report.html --save evidence
  twinproof compare evidence/*.json --format vsa --sign-key key.pem""",
    "verify": """\
  twinproof verify https://prod9.example --expect version=1.2.0
  twinproof verify evidence/prod9.example.json --explain
  twinproof verify --batch evidence --jobs 4""",
    "inspect": """\
  twinproof inspect quote.bin""",
    "watch": """\
  twinproof watch prod9 prod7 --interval 600 --archive proofs
  twinproof watch prod9 prod7 --webhook https://chat.example/hook""",
    "explain": """\
  twinproof explain dstack.rtmr3_replay""",
    "completion": """\
  eval "$(twinproof completion bash)"
  twinproof completion fish > ~/.config/fish/completions/twinproof.fish""",
    "archive": """\
  twinproof archive add proofs evidence
  twinproof archive list proofs --limit 5
  twinproof archive export proofs 17 --to taken-out""",
    "audit": """\
  twinproof audit proofs --journal audit.journal
  twinproof audit proofs --head HEX --max-gap 86400
  twinproof audit proofs --scheduler tcp://127.0.0.1:8786""",
    "serve": """\
  twinproof serve proofs --port 8080""",
}
