"""The real quotes with collateral at every recorded moment, and the recorded mutations, asked again of both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

from differential.harness import Case
from recorded import cases, collateral_members, mutations, quote_bytes, spoiled
from twinproof.dcap.roots import INTEL_SGX_ROOT_CA

__all__ = ["recorded_cases"]


def recorded_cases(_rng: Random, _count: int) -> Iterator[Case]:
    for case in cases().values():
        quote, text = quote_bytes(case["quote"]), json.dumps(collateral_members(case["collateral"]))
        for moment in {case["now"], *(boundary["now"] for boundary in case.get("boundaries", ()))}:
            yield Case(f"{case['id']} at {moment}", quote, text, moment, INTEL_SGX_ROOT_CA)
    for mutation in mutations():
        quote, members = spoiled(mutation)
        what = f"{mutation['case']}: {mutation['mutation']}"
        yield Case(what, quote, json.dumps(members), mutation["now"], INTEL_SGX_ROOT_CA)
