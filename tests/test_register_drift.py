"""Where registers differ between machines, the comparison names the event and both declared shapes."""

from __future__ import annotations

import json

import pytest

from published_schemas import described
from small_boot import Boot
from small_cbor import digest
from small_instance import AT, Instance, edited, judge
from small_lite import GIB, KERNEL, LiteVm
from twinproof import Collateral, Evidence, Outcome, Verdict, Verifier, compare
from twinproof.dcap.roots import TrustRoot
from twinproof.evidence.evidence import Origin
from twinproof.report.proof_text import proof_text
from twinproof_devnet import collateral
from twinproof_devnet.faults import Fault, FaultAt
from twinproof_devnet.firmware import Shape
from twinproof_devnet.provision import provision


def devnet_verdicts(shapes: dict[str, Shape], *faults: FaultAt) -> list[Verdict]:
    """GetQuote answers of devnet machines in these shapes."""
    world = provision(tuple(shapes), faults, clock=lambda: AT, shapes=shapes)
    documents = Collateral.from_json(json.dumps(collateral.make(world.pki, AT)))
    judges = Verifier(roots=[TrustRoot.from_pem_or_der(world.pki.root.der)])
    return [
        judges.verify(
            Evidence(
                source=name,
                origin=Origin.GET_QUOTE,
                quote=vm.quote(b"drift"),
                event_log=vm.event_log(),
                vm_config=vm.vm_config,
                app_compose=vm.app_compose,
                collateral=documents,
            ),
            at=AT,
        )
        for name, vm in world.vms.items()
    ]


@pytest.mark.parametrize(
    ("shape", "event", "varies_with"),
    [
        (Shape(memory_size=8 << 30), "td_hob", "memory size"),
        (Shape(cpu_count=8), "acpi-loader", "vCPU count"),
        (Shape(qemu_version="9.1.0"), "acpi-loader", "QEMU version"),
    ],
)
def test_two_shapes_of_one_image_are_told_by_the_first_event_that_drifted(
    shape: Shape, event: str, varies_with: str
) -> None:
    proof = compare(devnet_verdicts({"prod9": Shape(), "prod7": shape}))
    (found,) = proof.drifts
    assert found.drift is not None
    assert (found.register, found.drift.event) == ("RTMR0", event)
    assert varies_with in found.drift.varies_with
    declared = f"{shape.cpu_count} vCPU, {shape.memory_size >> 30} GiB, QEMU {shape.qemu_version}"
    assert found.declared == f"prod9 declares 2 vCPU, 4 GiB, QEMU 9.2.1; prod7 declares {declared}"
    assert proof.outcome is Outcome.NOT_FRESH


def test_the_report_says_why_rtmr0_differs() -> None:
    verdicts = devnet_verdicts({"prod9": Shape(), "prod7": Shape(memory_size=8 << 30)})
    text = " ".join(proof_text(compare(verdicts), verdicts, now=AT).split())
    assert "(memory, CPUs and devices of the VM) event 0, td_hob (varies with: memory size)." in text
    assert "prod9 declares 2 vCPU, 4 GiB, QEMU 9.2.1; prod7 declares 2 vCPU, 8 GiB, QEMU 9.2.1." in text


def test_another_image_is_told_by_its_kernel_and_its_command_line() -> None:
    proof = compare(devnet_verdicts({"prod9": Shape(), "prod7": Shape()}, FaultAt(Fault.DEV_IMAGE, "prod7")))
    assert [drift.register for drift in proof.drifts] == ["RTMR1", "RTMR2"]
    kernel, command_line = proof.check("compare.rtmr1"), proof.check("compare.rtmr2")
    assert "between prod9 and prod7, first at event 0, kernel (varies with: image" in kernel.reason
    assert "first at event 0, kernel command line (varies with: image" in command_line.reason
    assert ("declared shapes", "both declare 2 vCPU, 4 GiB, QEMU 9.2.1") in kernel.detail


def test_equal_registers_have_no_drift() -> None:
    assert compare(devnet_verdicts({"prod9": Shape(), "prod7": Shape()})).drifts == ()


def small(boot: Boot, **changes: object) -> Verdict:
    return judge(edited(Instance("prod7", 1, boot=boot).evidence(), **changes))


def test_a_boot_of_another_layout_is_told_by_the_types_of_its_events() -> None:
    other = Boot(measured={2: digest("other tables")})
    (found,) = compare([judge(Instance().evidence()), small(other)]).drifts
    assert found.where.startswith("event 2, ACPI tables or QEMU's settings (varies with: vCPU count")
    assert found.declared == "both declare 2 vCPU, 2 GiB, QEMU 8.2.2"


def test_without_a_log_that_leads_to_the_register_no_event_is_named() -> None:
    other = Boot(measured={2: digest("other tables")})
    lie = Boot(measured={2: digest("tables that were never measured")}).log()
    for log in (None, lie):
        (found,) = compare([judge(Instance().evidence()), small(other, event_log=log)]).drifts
        assert (found.drift, found.where) == (None, "no complete event log says which event differs")
        assert found.to_json()["event"] is None


def test_an_evidence_without_a_vm_config_declares_no_shape() -> None:
    other = Boot(measured={2: digest("other tables")})
    (found,) = compare([judge(Instance().evidence()), small(other, vm_config=None)]).drifts
    assert found.declared == "prod9-0.example declares 2 vCPU, 2 GiB, QEMU 8.2.2; prod7-1.example declares no shape"


def test_the_drift_stands_in_the_json_of_the_proof() -> None:
    lite = LiteVm(2 * GIB)
    other = lite.boot
    other.measured[KERNEL] = digest("another kernel")
    first = judge(Instance(boot=lite.boot).evidence())
    document = described("proof.v1", json.dumps(compare([first, small(other)]).to_json()))["register_drifts"]
    assert document == [
        {
            "register": "RTMR1",
            "instances": ["prod9-0.example", "prod7-1.example"],
            "event": {"index": 0, "name": "kernel"},
            "varies_with": "image; memory size below 2.75 GiB, and from QEMU 10.2 on the QEMU version",
            "declared_shapes": ["2 vCPU, 2 GiB, QEMU 8.2.2"] * 2,
        }
    ]
