"""dcap-qvl as a second opinion: Phala's verifier in Rust, by its Python binding, an optional dependency.

It is a function of its arguments: no network, no clock. It keeps the interpreter for its 0.7 ms.
"""

from __future__ import annotations

import json
import re
from importlib import import_module
from types import ModuleType

from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.second_opinion import Accepts, HasNone, Opinion, Refuses
from twinproof.errors import UsageError
from twinproof.wire import shown

__all__ = ["OpinionOfDcapQvl", "opinion_of_dcap_qvl"]

MAX_REASON_CHARS = 300
_INSTALL = 'pip install "twinproof[second-opinion]"'
_OLDEST = (0, 7)  # earlier ones take other quotes and other statuses for good; docs/dcap-differences.md is about 0.7
_ATTRIBUTES = (
    "Debug mode is enabled",
    "TD profiling is enabled",
    "Reserved bits in TD attributes are set",
    "TD migration is enabled",
    "SERVTD_EXT is enabled",
    "SEPT_VE_DISABLE is not enabled",
    "Invalid MR service TD",
)


class OpinionOfDcapQvl:
    """Answers with dcap-qvl's `verify`; under another root than Intel's, with `verify_with_root_ca`."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.name = f"dcap-qvl {module.__version__}"

    def __call__(self, quote: bytes, collateral: Collateral, *, at: int, root: TrustRoot) -> Opinion:
        try:
            supplied = self._module.QuoteCollateralV3.from_json(json.dumps(collateral.to_json()))
            if root.is_intel:
                report = self._module.verify(quote, supplied, at)
            else:
                report = self._module.verify_with_root_ca(quote, supplied, root.der, at)
            return Accepts(str(report.status), frozenset(map(str, report.advisory_ids)))
        except ValueError as error:
            return _refusal(str(error))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  (a panic in Rust arrives as a BaseException)
            return HasNone(_line(f"{type(error).__name__}: {error}"))


def opinion_of_dcap_qvl() -> OpinionOfDcapQvl:
    """Raises UsageError when dcap-qvl is not installed, or too old to be compared with."""
    try:
        module = import_module("dcap_qvl")
    except ImportError as error:
        raise UsageError("dcap-qvl is not installed", where="--second-opinion", hint=_INSTALL) from error
    found = re.match(r"(\d+)\.(\d+)", module.__version__)
    if not found or (int(found[1]), int(found[2])) < _OLDEST:
        raise UsageError(
            "dcap-qvl is too old",
            where="--second-opinion",
            got=shown(module.__version__, 40),
            expected="0.7 or later",
            hint=_INSTALL,
        )
    return OpinionOfDcapQvl(module)


def _refusal(text: str) -> Refuses:
    reason = _line(text.removeprefix("Verification failed: "))
    return Refuses(reason, attributes=reason.startswith(_ATTRIBUTES))


def _line(text: str) -> str:
    """Its errors are paragraphs with causes, and may quote the evidence."""
    return shown(re.sub(r"\s+", " ", text).strip(), MAX_REASON_CHARS)
