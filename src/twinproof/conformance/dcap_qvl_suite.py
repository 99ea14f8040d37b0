"""The entry point that dcap-qvl's cross-implementation suite calls: `... verify QUOTE COLLATERAL.json ROOT_CA.der`.

python -m twinproof.conformance.dcap_qvl_suite verify QUOTE COLLATERAL.json ROOT_CA.der

The suite's certificates have neither Intel's names nor Intel's chains, so this runs under a RELAXED profile
(`suite_shape` lists every relaxation) and refuses Intel's root. It judges no evidence: use `twinproof verify`.
Exit codes and texts are the suite's: 0 and `Status: ...`, 1 and `Verification failed: ...`, 2 for anything unreadable.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from twinproof.conformance.answer import Answer
from twinproof.conformance.stream import MAX_FILE_BYTES
from twinproof.conformance.suite_shape import SUITE_SHAPE
from twinproof.conformance.suite_texts import suite_text
from twinproof.dcap.attributes import AttributeRules, check_report_attributes
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.verify import PLAN, appraise
from twinproof.errors import Refused, TwinproofError
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.sources.clock import now
from twinproof.sources.files import read_file
from twinproof.verdict import Status
from twinproof.wire import shown

__all__ = ["judge", "main"]

RELAXED = "RELAXED profile for dcap-qvl's test suite: any names, other chains. No word about real hardware."
ATTRIBUTES = "policy.report_attributes"


def judge(quote: bytes, collateral: Collateral, *, root: TrustRoot, at: int) -> Answer:
    """Judge under the relaxed profile at `at` (unix seconds). Raises UsageError for Intel's root."""
    ledger = Ledger(PLAN)
    appraisal = appraise(quote, collateral, at=at, root=root, ledger=ledger, memo=Memo(), shape=SUITE_SHAPE)
    if appraisal is None:
        failed = next(check for check in ledger.checks() if check.status is Status.FAIL)
        return Answer(stage=failed.id, reason=failed.reason)
    try:
        check_report_attributes(appraisal.quote.report, AttributeRules())
    except Refused as error:
        if error.where != "XFAM":  # the suite's TDs have none, and it is the last rule
            return Answer(stage=ATTRIBUTES, reason=str(error))
    return Answer(appraisal.tcb_status.value, appraisal.advisory_ids)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code that the suite expects."""
    parser = argparse.ArgumentParser(
        prog="python -m twinproof.conformance.dcap_qvl_suite",
        description=f"{RELAXED} Intel's root is refused.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = commands.add_parser("verify", help="judge one sample of the suite, now", description=RELAXED)
    for name in ("QUOTE", "COLLATERAL.json", "ROOT_CA.der"):
        command.add_argument(name)
    arguments = vars(parser.parse_args(argv))  # exits with 2 by itself
    sys.stderr.write(f"{RELAXED}\n")
    try:
        quote, collateral, root_ca = (
            read_file(arguments[name], name, max_bytes=MAX_FILE_BYTES)
            for name in ("QUOTE", "COLLATERAL.json", "ROOT_CA.der")
        )
        root = TrustRoot.from_pem_or_der(root_ca)
        answer = judge(quote, Collateral.from_json(collateral), root=root, at=now())
    except TwinproofError as error:
        sys.stderr.write(f"{shown(str(error), 4000)}\n")
        return 2
    if answer.accepted:
        sys.stdout.write(f"Verification successful\nStatus: {answer.tcb_status}\n")
        return 0
    sys.stderr.write(f"Verification failed: {suite_text(answer)}\n  Caused by: {answer.stage}: {answer.reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
