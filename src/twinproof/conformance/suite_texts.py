"""The words that dcap-qvl's suite looks for in a failure, for each way in which this verifier refuses.

The suite searches the output for a substring. The texts stand beside this verifier's own reason, which says more.
"""

from __future__ import annotations

from twinproof.conformance.answer import Answer

__all__ = ["suite_text"]

_TEXTS: tuple[tuple[str, str, str], ...] = (
    # check, words of the reason (the first line that fits counts), words of the suite
    ("dcap.quote_format", "unsupported quote version", "Failed to decode quote: Unsupported quote version"),
    ("dcap.quote_format", "not the size of a quote", "Failed to decode quote: Not enough data to fill buffer"),
    ("dcap.quote_format", "cut off", "Failed to decode quote: Not enough data to fill buffer"),
    ("dcap.quote_format", "", "Failed to decode quote"),
    ("dcap.header", "Intel's quoting enclave", "Unknown QE vendor ID"),
    ("dcap.header", "key type", "Unsupported DCAP attestation key type"),
    ("dcap.header", "an SGX quote of an unsupported version", "SGX TEE quote must have version 3"),
    ("dcap.certification_data", "", "Unsupported DCAP PCK cert format"),
    ("dcap.tcb_signing", "a CA certificate where", "CaUsedAsEndEntity"),
    ("dcap.tcb_signing", "TCB Info issuer chain", "Certificate chain is too short for TCB Info"),
    ("dcap.tcb_signing", "QE Identity issuer chain", "Certificate chain is too short for QE Identity"),
    ("dcap.tcb_info", "signature", "Signature is invalid for tcb_info in quote_collateral"),
    ("dcap.tcb_info", "not valid yet", "TCBInfo issue date is in the future"),
    ("dcap.tcb_info", "has expired", "TCBInfo expired"),
    ("dcap.tcb_info", "expected SGX", "SGX quote with non-SGX TCB info in the collateral"),
    ("dcap.tcb_info", "expected TDX", "TDX quote with non-TDX TCB info in the collateral"),
    ("dcap.tcb_info", "tdxtcbcomponents", "TDX component count mismatch"),
    ("dcap.tcb_info", "no TCB levels", "No matching TCB level found"),
    ("dcap.tcb_info", "", "Failed to decode TcbInfo"),
    ("dcap.qe_identity", "signature", "Signature is invalid for qe_identity in quote_collateral"),
    ("dcap.qe_identity", "not valid yet", "QE Identity issue date is in the future"),
    ("dcap.qe_identity", "has expired", "QE Identity expired"),
    ("dcap.qe_identity", "another TEE", "Unsupported QE Identity id/version for the quote TEE type"),
    ("dcap.qe_identity", "", "Failed to decode QeIdentity"),
    ("dcap.qe_report_signature", "", "Signature is invalid for qe_report in quote"),
    ("dcap.qe_binding", "", "QE report hash mismatch"),
    ("dcap.qe_match", "MRSIGNER", "QE MRSIGNER mismatch"),
    ("dcap.qe_match", "ISVPRODID", "QE ISVPRODID mismatch"),
    ("dcap.qe_match", "MISCSELECT", "QE MISCSELECT mismatch"),
    ("dcap.qe_match", "debug", "Debug mode is enabled"),
    ("dcap.qe_match", "ATTRIBUTES", "QE ATTRIBUTES mismatch"),
    ("dcap.quote_signature", "", "ISV enclave report signature is invalid"),
    ("dcap.platform_match", "", "Fmspc mismatch"),
    ("dcap.tdx_module", "MRSIGNERSEAM", "TDX module MRSIGNER mismatch"),
    ("dcap.tdx_module", "SEAMATTRIBUTES", "TDX module SEAMATTRIBUTES mismatch"),
    ("dcap.tdx_module", "no TCB level", "TDX module ISVSVN is below minimum required from TDX module TCB levels"),
    ("dcap.tcb_level", "", "No matching TCB level found"),
    ("dcap.current_tcb", "", "Failed to evaluate the current TDX TCB (TEE_TCB_SVN2)"),
    ("dcap.not_revoked", "", "TCB status is invalid: Revoked"),
    ("policy.report_attributes", "debug", "Debug mode is enabled"),
    ("policy.report_attributes", "profile", "TD profiling is enabled"),
    ("policy.report_attributes", "migratable", "TD migration is enabled"),
    ("policy.report_attributes", "reserved", "Reserved bits in TD attributes are set"),
    ("policy.report_attributes", "TDATTRIBUTES: a TD bound to a service TD", "SERVTD_EXT is enabled"),
    ("policy.report_attributes", "MRSERVICETD", "Invalid MR service TD"),
    ("policy.report_attributes", "SEPT_VE_DISABLE", "SEPT_VE_DISABLE is not enabled"),
)


def suite_text(answer: Answer) -> str:
    """The suite's words for this refusal; this verifier's own where the suite has none."""
    for stage, words, text in _TEXTS:
        if stage == answer.stage and words in answer.reason:
            return text
    return answer.reason
