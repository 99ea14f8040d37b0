"""The process that dcap-qvl runs in: one question per line on standard input, one answer per line on standard output.

`python -m twinproof.sources.dcap_qvl_process`. A panic in dcap-qvl 0.7 aborts its process, so it never runs in ours.
Lines are JSON. Question: quote (hex), collateral (text), at (unix seconds), root (DER, hex; null for Intel's). Answer:
{"status", "advisory_ids"}, {"refusal"} or {"failure"}.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

__all__ = ["main"]


def main() -> None:
    """Answer until the questions end."""
    module = import_module("dcap_qvl")
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, object]
        try:
            quote = bytes.fromhex(question["quote"])
            collateral = module.QuoteCollateralV3.from_json(question["collateral"])
            if question["root"] is None:
                report = module.verify(quote, collateral, question["at"])
            else:
                report = module.verify_with_root_ca(quote, collateral, bytes.fromhex(question["root"]), question["at"])
            answer = {"status": report.status, "advisory_ids": list(report.advisory_ids)}
        except ValueError as error:
            answer = {"refusal": str(error)}
        except BaseException as error:  # noqa: BLE001  (where panics unwind, they are no Exception)
            answer = {"failure": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
