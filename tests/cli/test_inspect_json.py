"""`inspect --json` is what its schema says, for quotes of every form and for files that bring more than a quote."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from published_schemas import described, schemas
from small_instance import AT, Instance
from twinproof.cli.main import main
from twinproof.evidence.bundle import bundle_to_json
from twinproof.evidence.evidence import Origin
from twinproof.report.inspect_text import NOTHING_VERIFIED
from twinproof.tdx.report import EnclaveReport, TdExtension, TdReport
from twinproof_devnet.corpus.rig import Rig
from twinproof_devnet.host import Tampering
from twinproof_devnet.quote import CertificationData


@cache
def rig() -> Rig:
    return Rig.create(AT)


@pytest.fixture
def inspected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(data: bytes) -> Any:
        path = tmp_path / "file"
        path.write_bytes(data)
        assert main(["inspect", str(path), "--json"]) == 0
        return described("inspect.v1", capsys.readouterr().out)

    return run


@pytest.mark.parametrize(("version", "body"), [(4, "TD1.0"), (5, "TD1.0"), (5, "TD1.5"), (5, "TD1.5ex")])
def test_a_td_quote_of_every_form_is_described(inspected: Any, version: int, body: str) -> None:
    quote = inspected(rig().quote(version, body) + bytes(3))["quote"]
    assert (quote["version"], quote["report"]["body_type"], quote["trailing_bytes"]) == (version, body, 3)
    assert len(quote["certificates"]) == 3
    assert ("tee_tcb_svn2" in quote["report"], "extended" in quote["report"]) == (body != "TD1.0", body == "TD1.5ex")


@pytest.mark.parametrize("version", [3, 4])
def test_an_sgx_quote_is_described(inspected: Any, version: int) -> None:
    quote = inspected(rig().sgx_quote(version=version))["quote"]
    assert (quote["tee"], len(quote["report"]["mrenclave"])) == ("SGX", 64)


@pytest.mark.parametrize(
    ("certification", "certificates"), [(CertificationData(3, bytes(404)), 0), (CertificationData(5, b"no PEM"), 1)]
)
def test_a_chain_that_is_not_there_or_cannot_be_read_is_described(
    inspected: Any, certification: CertificationData, certificates: int
) -> None:
    quote = inspected(rig().quote(tampering=Tampering(certification=certification)))["quote"]
    assert (quote["certification_type"], len(quote["certificates"])) == (certification.kind, certificates)


def test_a_bundle_is_described_with_its_log_and_texts(inspected: Any) -> None:
    document = inspected(bundle_to_json(Instance().evidence()).encode())
    assert {"events", "vm_config", "app_compose", "statement"} <= document.keys()
    assert {event["imr"] for event in document["events"]} == {0, 1, 2, 3}


def test_the_schema_has_the_members_that_the_parser_has() -> None:
    schema = schemas()["inspect.v1"]
    td = schema["$defs"]["td"]["properties"]
    assert tuple(td) == TdReport._fields
    assert tuple(td["extended"]["properties"]) == TdExtension._fields
    assert tuple(schema["$defs"]["enclave"]["properties"]) == EnclaveReport._fields
    assert set(schema["properties"]["origin"]["enum"]) == set(Origin)
    assert schema["properties"]["note"]["const"] == NOTHING_VERIFIED
