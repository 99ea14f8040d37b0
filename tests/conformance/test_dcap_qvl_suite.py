"""dcap-qvl's suite at its own entry point, and the proof that what it needs relaxed is relaxed nowhere else."""

from __future__ import annotations

import ast
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from conformance import run_suite
from conformance.suite_samples import Certificates, Sample, samples, write_samples
from simulated import AT, REPORT_DATA, TD, host, members, pki
from twinproof.conformance import dcap_qvl_suite as suite
from twinproof.conformance.answer import Answer, judge_quote
from twinproof.conformance.suite_shape import SUITE_SHAPE
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import INTEL_SGX_ROOT_CA, TrustRoot
from twinproof.dcap.verify import PLAN, appraise
from twinproof.errors import UsageError
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof_devnet.certificate import Change, Issued, Recipe, issue, new_key
from twinproof_devnet.collateral import make
from twinproof_devnet.crl import CrlRecipe, sign_crl
from twinproof_devnet.defects import without
from twinproof_devnet.host import Tampering, TdxHost
from twinproof_devnet.pki import Pki
from twinproof_devnet.quote import CertificationData
from twinproof_devnet.sgx_extension import encode_members

SRC = Path(__file__).resolve().parents[2] / "src" / "twinproof"


@cache
def certificates() -> Certificates:
    return Certificates.create(AT)


@cache
def all_samples() -> tuple[Sample, ...]:
    return tuple(samples(certificates()))


def named(name: str) -> Sample:
    return next(sample for sample in all_samples() if sample.name == name)


def run(directory: Path, sample: Sample, root: bytes) -> int:
    for name, data in (
        ("quote.bin", sample.quote),
        ("collateral.json", json.dumps(sample.collateral).encode()),
        ("root.der", root),
    ):
        (directory / name).write_bytes(data)
    return suite.main(["verify", *(str(directory / name) for name in ("quote.bin", "collateral.json", "root.der"))])


@pytest.mark.parametrize("sample", all_samples(), ids=lambda sample: sample.name)
def test_every_sample_ends_as_the_suite_says(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "now", lambda: AT)
    code = run(tmp_path, sample, certificates().root.der)
    captured = capsys.readouterr()
    if sample.error:
        assert code == 1
        assert sample.error in captured.err
        assert captured.err.splitlines()[1].startswith("Verification failed: ")
    else:
        assert code == 0, captured.err
        assert captured.out.splitlines() == ["Verification successful", f"Status: {sample.status or 'UpToDate'}"]


def test_the_samples_are_those_of_the_suite(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    names = [sample.name for sample in all_samples()]
    assert len(set(names)) == len(names) == 64
    assert write_samples(tmp_path, AT) == 64
    assert {path.name for path in (tmp_path / "samples").iterdir()} == set(names)
    assert (tmp_path / "certs" / "root_ca.der").is_file()
    outcomes = Counter("succeed" if not sample.error else "fail" for sample in all_samples())
    record_property("counts", f"dcap-qvl's suite: {dict(outcomes)} as expected under the relaxed profile")


@pytest.mark.parametrize("sample", all_samples(), ids=lambda sample: sample.name)
def test_dcap_qvl_itself_ends_each_sample_so(sample: Sample) -> None:
    """Then they are what the suite means by these names."""
    dcap_qvl = pytest.importorskip("dcap_qvl", reason="dcap-qvl is not installed (extra second-opinion)")
    collateral = dcap_qvl.QuoteCollateralV3.from_json(json.dumps(sample.collateral))
    arguments = (sample.quote, collateral, certificates().root.der, AT)
    if not sample.error:
        assert dcap_qvl.verify_with_root_ca(*arguments).status == (sample.status or "UpToDate")
        return
    with pytest.raises(ValueError, match="Verification failed") as refused:
        dcap_qvl.verify_with_root_ca(*arguments)
    assert sample.error in str(refused.value)


def strict(quote: bytes, collateral: dict[str, Any], root: bytes) -> Answer:
    text = json.dumps(collateral).encode()
    return judge_quote(quote, text, root=TrustRoot.from_pem_or_der(root), at=AT, memo=Memo())


def relaxed(quote: bytes, collateral: dict[str, Any], root: bytes) -> Answer:
    supplied = Collateral.from_json(json.dumps(collateral))
    return suite.judge(quote, supplied, root=TrustRoot.from_pem_or_der(root), at=AT)


@pytest.mark.parametrize("sample", all_samples(), ids=lambda sample: sample.name)
def test_the_strict_rules_accept_no_sample_at_all(sample: Sample) -> None:
    assert not strict(sample.quote, sample.collateral, certificates().root.der).accepted


@dataclass(frozen=True)
class Relaxed:
    """Evidence of Intel's shape but for one thing, and the check that refuses it for that."""

    quote: bytes
    collateral: dict[str, Any]
    root: bytes
    stage: str


def of_tree(stage: str, tree: Pki, *, leaf: Change | None = None, **replaced: Any) -> Relaxed:
    machine = TdxHost.create(tree, AT, change=leaf)
    return Relaxed(machine.quote(TD, REPORT_DATA), make(tree, AT) | replaced, tree.root.der, stage)


def renamed(recipe: Recipe) -> Recipe:
    return replace(recipe, common_name=f"Test {recipe.common_name}")


def root_issued_leaf() -> Relaxed:
    recipe = Recipe("Intel SGX PCK Certificate", AT - 10, AT + 10, "https://devnet.invalid/crl", digital_signature=True)
    sgx = next(item for item in host().pck.certificate.extensions if isinstance(item.value, x509.UnrecognizedExtension))
    leaf = issue(replace(recipe, extra=((sgx.value, False),)), pki().root)
    machine = replace(host(), pck=leaf, pck_chain=f"{leaf.pem}{pki().root.pem}".encode())
    return Relaxed(machine.quote(TD, REPORT_DATA), members(), pki().root.der, "dcap.pck_chain")


def signer_below_a_ca() -> Relaxed:
    recipe = Recipe("Intel SGX TCB Signing", AT - 10, AT + 10, "https://devnet.invalid/crl", digital_signature=True)
    signer = issue(recipe, pki().platform_ca)
    chain = f"{signer.pem}{pki().platform_ca.pem}{pki().root.pem}"
    collateral = make(pki(), AT, signer=signer, tcb_info_issuer_chain=chain, qe_identity_issuer_chain=chain)
    return Relaxed(host().quote(TD, REPORT_DATA), collateral, pki().root.der, "dcap.tcb_signing")


def list_of_another_ca() -> Relaxed:
    other: Issued = pki().processor_ca
    crl = sign_crl(CrlRecipe.around(AT, 30), other).hex()
    collateral = members() | {"pck_crl": crl, "pck_crl_issuer_chain": f"{other.pem}{pki().root.pem}"}
    return Relaxed(host().quote(TD, REPORT_DATA), collateral, pki().root.der, "dcap.pck_crl")


def outer_type_5() -> Relaxed:
    quote = host().quote(TD, REPORT_DATA, tampering=Tampering(outer_kind=5))
    return Relaxed(quote, members(), pki().root.der, "dcap.quote_format")


def processor_form() -> Relaxed:
    machine = replace(host().machine, ca="processor")
    forged = TdxHost.create(pki(), AT, sgx_extension=encode_members(machine))
    return Relaxed(forged.quote(TD, REPORT_DATA), members(), pki().root.der, "dcap.pck_chain")


def no_xfam() -> Relaxed:
    quote = host().quote(replace(TD, xfam=0), REPORT_DATA)
    return Relaxed(quote, members(), pki().root.der, "policy.report_attributes")


URL = without("cRLDistributionPoints")
RELAXATIONS: dict[str, Callable[[], Relaxed]] = {
    "the outer certification type is 5": outer_type_5,
    "the PCK certificate has another name": lambda: of_tree("dcap.pck_chain", pki(), leaf=renamed),
    "the PCK CA has another name": lambda: of_tree("dcap.pck_chain", Pki.create(AT, platform_ca=renamed)),
    "the signer has another name": lambda: of_tree("dcap.tcb_signing", Pki.create(AT, tcb_signing=renamed)),
    "the PCK certificate has no distribution points": lambda: of_tree("dcap.pck_chain", pki(), leaf=URL),
    "the PCK CA has no distribution points": lambda: of_tree("dcap.pck_chain", Pki.create(AT, platform_ca=URL)),
    "the signer has no distribution points": lambda: of_tree("dcap.tcb_signing", Pki.create(AT, tcb_signing=URL)),
    "the root has no distribution points": lambda: of_tree("dcap.pck_chain", Pki.create(AT, root=URL)),
    "the root has no key usage": lambda: of_tree("dcap.pck_chain", Pki.create(AT, root=without("keyUsage"))),
    "the root certified the machine itself": root_issued_leaf,
    "the SGX extension is of the other CA's form": processor_form,
    "a CA stands between root and signer": signer_below_a_ca,
    "the PCK CRL is another CA's": list_of_another_ca,
    "XFAM is zero": no_xfam,
}


@pytest.mark.parametrize("name", RELAXATIONS)
def test_the_strict_rules_refuse_what_the_suite_needs(name: str) -> None:
    given = RELAXATIONS[name]()
    assert relaxed(given.quote, given.collateral, given.root) == Answer("UpToDate")
    refused = strict(given.quote, given.collateral, given.root)
    assert refused.stage == given.stage, refused


class TestWhatStaysStrict:
    """Under the relaxed profile, too."""

    @staticmethod
    def refused(stage: str, sample: Sample | None = None, root: bytes | None = None, **changes: Any) -> None:
        sample = sample or named("valid_tdx_v4")
        answer = relaxed(sample.quote, sample.collateral | changes, root or certificates().root.der)
        assert answer.stage == stage, answer

    def test_another_root(self) -> None:
        self.refused("dcap.pck_chain", root=Certificates.create(AT).root.der)

    @pytest.mark.parametrize("member", ["pck_crl", "root_ca_crl"])
    def test_a_machine_that_the_root_certified_may_stand_on_either_list(self, member: str) -> None:
        issuer = certificates().ca if member == "pck_crl" else certificates().root
        crl = sign_crl(CrlRecipe.around(AT, 30, [certificates().pck.serial]), issuer)
        changes: dict[str, Any] = {member: crl.hex()}
        self.refused("dcap.pck_crl", **changes)

    def test_a_list_that_is_forged_stale_or_of_no_ca(self) -> None:
        around = CrlRecipe.around(AT, 30)
        forged = sign_crl(replace(around, signed_by=new_key()), certificates().ca)
        stale = sign_crl(CrlRecipe(AT - 20, AT - 10), certificates().ca)
        no_ca = sign_crl(around, certificates().signer)
        for crl in (forged, stale, no_ca):
            self.refused("dcap.pck_crl", pck_crl=crl.hex())
        self.refused("dcap.pck_crl", pck_crl_issuer_chain=certificates().ca.pem)
        self.refused("dcap.root_crl", root_ca_crl=sign_crl(CrlRecipe(AT - 20, AT - 10), certificates().root).hex())

    def test_the_machine_is_no_signer_of_documents_when_it_certifies_another(self) -> None:
        """An end entity issues nothing."""
        below = issue(
            Recipe("Test below", AT - 10, AT + 10, "", organisation="Test", digital_signature=True), certificates().pck
        )
        chain = f"{below.pem}{certificates().pck.pem}{certificates().root.pem}"
        self.refused("dcap.tcb_signing", tcb_info_issuer_chain=chain)

    def test_a_revoked_signer(self) -> None:
        crl = sign_crl(CrlRecipe.around(AT, 30, [certificates().signer.serial]), certificates().root)
        self.refused("dcap.tcb_signing", root_ca_crl=crl.hex())

    @pytest.mark.parametrize("extension", ["basicConstraints", "authorityKeyIdentifier", "subjectKeyIdentifier"])
    def test_the_extensions_that_the_suite_has(self, extension: str) -> None:
        given = of_tree("dcap.pck_chain", pki(), leaf=without(extension))
        assert relaxed(given.quote, given.collateral, given.root).stage == "dcap.pck_chain"

    def test_a_leaf_without_an_sgx_extension_or_that_is_no_certificate(self) -> None:
        bare = TdxHost.create(pki(), AT, sgx_extension=b"").quote(TD, REPORT_DATA)
        assert relaxed(bare, members(), pki().root.der).stage == "dcap.pck_chain"
        pem = f"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{pki().root.pem}".encode()
        broken = host().quote(TD, REPORT_DATA, tampering=Tampering(certification=CertificationData(5, pem)))
        assert relaxed(broken, members(), pki().root.der).stage == "dcap.pck_chain"


class TestTheEntryPoint:
    def test_refuses_intels_root(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(tmp_path, named("valid_tdx_v4"), INTEL_SGX_ROOT_CA.der) == 2
        assert "only Intel's own chain shape" in capsys.readouterr().err

    def test_says_that_it_is_relaxed_wherever_it_speaks(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(suite, "now", lambda: AT)
        run(tmp_path, named("valid_tdx_v4"), certificates().root.der)
        assert "RELAXED" in capsys.readouterr().err
        for arguments in (["--help"], ["verify", "--help"]):
            with pytest.raises(SystemExit) as stopped:
                suite.main(arguments)
            assert stopped.value.code == 0
            assert "RELAXED" in capsys.readouterr().out

    def test_ends_with_2_for_what_it_cannot_open_or_read(self, tmp_path: Path) -> None:
        sample = named("valid_tdx_v4")
        assert suite.main(["verify", "/nowhere/quote", "/nowhere/collateral", "/nowhere/root"]) == 2
        assert run(tmp_path, replace(sample, collateral={}), certificates().root.der) == 2
        with pytest.raises(SystemExit) as stopped:
            suite.main(["verify", "one"])
        assert stopped.value.code == 2


def test_no_verification_under_intels_root_takes_another_shape() -> None:
    with pytest.raises(UsageError, match="only Intel's own chain shape"):
        appraise(
            host().quote(TD, REPORT_DATA),
            Collateral.from_json(json.dumps(members())),
            at=AT,
            root=INTEL_SGX_ROOT_CA,
            ledger=Ledger(PLAN),
            memo=Memo(),
            shape=SUITE_SHAPE,
        )


def test_nothing_but_the_conformance_package_ever_names_a_shape() -> None:
    """So no command that judges evidence can be led to the relaxed one."""
    naming = {
        path.relative_to(SRC).parts[0]
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and any(keyword.arg == "shape" for keyword in node.keywords)
    }
    assert naming == {"conformance"}


def test_its_runner_judges_as_the_suite_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, expected in (
        ("good", {"should_succeed": True, "expected_status": "OutOfDate"}),
        ("other_status", {"should_succeed": True, "expected_status": "UpToDate"}),
        ("refused", {"should_succeed": False, "expected_error": "no"}),
    ):
        place = tmp_path / "samples" / name
        place.mkdir(parents=True)
        (place / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "root_ca.der").write_bytes(b"")
    script = tmp_path / "verifier.py"
    script.write_text(
        "import sys\nprint('Status: OutOfDate')\nsys.exit('/refused/' in sys.argv[2])\n", encoding="utf-8"
    )
    assert run_suite.main(["--verifier", f"{sys.executable} {script}", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "3 samples: 1 pass, 1 warn, 1 fail" in said
    assert "FAIL other_status" in said
    assert "WARN refused" in said
    with pytest.raises(SystemExit) as stopped:
        run_suite.main(["--verifier", "true", str(tmp_path / "nothing")])
    assert stopped.value.code == 2
