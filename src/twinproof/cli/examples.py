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
    "key": """\
  twinproof key getkey.json --app-id HEX --kms-root HEX --purpose storage""",
    "bump": """\
  twinproof bump minor --dry-run
  twinproof bump minor""",
    "changelog": """\
  twinproof changelog --from v1.1.0 --to v1.2.0
  twinproof changelog --check""",
    "compose": """\
  twinproof compose hash --image-digest sha256:HEX --output app-compose.json
  twinproof compose diff v1.1.0 v1.2.0
  twinproof compose check app-compose.json""",
    "release": """\
  twinproof release check v1.2.0
  twinproof release build --twice""",
    "image": """\
  twinproof image measure dstack-0.5.4.tar.gz
  twinproof image list --policy policy.toml""",
    "deploy": """\
  twinproof deploy --tag v1.2.0 --image-digest sha256:HEX \\
      --machines prod9,prod7 --plan""",
    "status": """\
  twinproof status
  twinproof status --machines prod9,prod7 --json""",
    "ci": """\
  twinproof ci deploy --tag v1.2.0 --image-digest sha256:HEX \\
      --machines prod9,prod7""",
    "deployments": """\
  twinproof deployments verify --html records.html
  twinproof deployments render --check""",
    "history": """\
  twinproof history APP_ID --proof --published releases --html history.html""",
    "power": """\
  twinproof power APP_ID --proof""",
    "chain": """\
  twinproof chain allow APP_ID --app-compose app-compose.json --plan
  twinproof chain add-device APP_ID prod7 --key-file owner.key""",
    "devnet": """\
  twinproof devnet up --machines prod9,prod7
  twinproof devnet demo --keep""",
}
