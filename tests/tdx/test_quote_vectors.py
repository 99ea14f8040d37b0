"""All real quotes that were collected parse, field by field as listed, padding or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import Json, index, quote_bytes
from twinproof.tdx.quote import parse_quote
from twinproof.tdx.report import EnclaveReport, TdReport

pytestmark = pytest.mark.vectors

TD_FIELDS = {"mr_seam": "mrseam", "mr_signer_seam": "mrsignerseam", "mr_td": "mrtd"} | {
    f"rt_mr{number}": f"rtmr{number}" for number in range(4)
}
EXTENDED_FIELDS = {
    "cur_service_td_attributes": "current_service_td_attributes",
    "cur_service_td_hash": "current_service_td_hash",
    "dev_info": "device_info_hash",
}


@pytest.mark.parametrize("listed", index()["quotes"], ids=lambda listed: listed["id"])
def test_a_real_quote_parses_as_listed(listed: Json) -> None:
    data = quote_bytes(listed["id"])
    parsed = parse_quote(data)
    assert parsed.raw == data
    header, report = parsed.header, parsed.report
    assert (header.version, header.tee_type, header.attestation_key_type) == (
        listed["version"],
        listed["tee_type"],
        listed["attestation_key_type"],
    )
    assert (header.qe_vendor_id.hex(), header.user_data.hex()) == (listed["qe_vendor_id"], listed["user_data"])
    if isinstance(report, TdReport):
        assert report.body_type == listed["body"]
        for name, text in listed["report"].items():
            assert _td_field(report, name) == text, name
    else:
        assert isinstance(report, EnclaveReport)
        assert listed["body"] == "SGX"


def _td_field(report: TdReport, name: str) -> object:
    if name == "vmid":
        return report.extended and report.extended.vm_id
    own = getattr(report, TD_FIELDS.get(name, name), None)
    if own is None:
        own = getattr(report.extended, EXTENDED_FIELDS.get(name, name), None)
    assert isinstance(own, bytes)
    return own.hex()


def test_no_real_quote_is_missing(vectors: Path) -> None:
    assert len(index()["quotes"]) == 72


@pytest.mark.parametrize("name", ["dstack-5006-bytes", "gcp-8000-bytes", "oasis-5006-bytes"])
def test_a_quote_in_a_fixed_size_buffer_is_the_quote_without_the_padding(name: str, vectors: Path) -> None:
    padded = (vectors / "dcap" / "padded" / f"{name}.bin").read_bytes()
    parsed = parse_quote(padded)
    assert parsed.trailing == bytes(len(padded) - len(parsed.raw))
    assert parsed.raw in {quote_bytes(listed["id"]) for listed in index()["quotes"]}
