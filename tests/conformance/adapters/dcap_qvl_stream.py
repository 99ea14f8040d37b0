"""dcap-qvl behind the stream form of the protocol, to show what a verifier needs in order to take part."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import dcap_qvl


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        quote, collateral, root = (Path(request[name]).read_bytes() for name in ("quote", "collateral", "root"))
        try:
            parsed = dcap_qvl.QuoteCollateralV3.from_json(collateral.decode())
            report = dcap_qvl.verify_with_root_ca(quote, parsed, root, request["at"])
            answer = {"verdict": "accept", "tcb_status": report.status, "advisory_ids": report.advisory_ids}
        except ValueError as error:
            answer = {"verdict": "refuse", "reason": str(error)}
        sys.stdout.write(json.dumps({"id": request["id"], **answer}) + "\n")


if __name__ == "__main__":
    main()
