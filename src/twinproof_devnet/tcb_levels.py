"""What Intel would know about the devnet's machines: TCB levels, TDX modules, quoting enclaves."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof_devnet.host import SGX_QE_MRSIGNER, TD_QE_MRSIGNER
from twinproof_devnet.machine import COMPONENTS

__all__ = ["ENCLAVES", "MODULES", "OLDER", "SGX_LEVELS", "TDX_LEVELS", "Enclave", "Level", "Module", "SvnLevel"]

NEW, OLD = "2025-08-13T00:00:00Z", "2024-03-13T00:00:00Z"


@dataclass(frozen=True, slots=True)
class SvnLevel:
    """A level of a TDX module or a quoting enclave."""

    isv_svn: int
    status: str = "UpToDate"
    advisory_ids: tuple[str, ...] = ()
    date: str = NEW

    def json(self) -> dict[str, object]:
        return {"tcb": {"isvsvn": self.isv_svn}, **_judgement(self.date, self.status, self.advisory_ids)}


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the platform: 16 SGX components, PCESVN and, for TDX, 16 TDX components."""

    components: tuple[int, ...]
    pce_svn: int
    tdx_components: tuple[int, ...] | None = None
    status: str = "UpToDate"
    advisory_ids: tuple[str, ...] = ()
    date: str = NEW

    def json(self) -> dict[str, object]:
        tcb: dict[str, object] = {"sgxtcbcomponents": [{"svn": svn} for svn in self.components], "pcesvn": self.pce_svn}
        if self.tdx_components is not None:
            tcb["tdxtcbcomponents"] = [{"svn": svn} for svn in self.tdx_components]
        return {"tcb": tcb, **_judgement(self.date, self.status, self.advisory_ids)}


@dataclass(frozen=True, slots=True)
class Module:
    """Who signs a TDX module; `version` None is the base entry, which has no levels."""

    version: int | None = None
    levels: tuple[SvnLevel, ...] = ()
    mrsigner: bytes = bytes(48)
    attributes: bytes = bytes(8)
    attributes_mask: bytes = b"\xff" * 8

    def json(self) -> dict[str, object]:
        named: dict[str, object] = {} if self.version is None else {"id": f"TDX_{self.version:02X}"}
        levels: dict[str, object] = {"tcbLevels": [level.json() for level in self.levels]}
        return {
            **named,
            "mrsigner": self.mrsigner.hex().upper(),
            "attributes": self.attributes.hex().upper(),
            "attributesMask": self.attributes_mask.hex().upper(),
            **({} if self.version is None else levels),
        }


@dataclass(frozen=True, slots=True)
class Enclave:
    """A quoting enclave as QE Identity describes it. Hex texts are in memory order."""

    id: str
    mrsigner: bytes
    isv_prod_id: int
    levels: tuple[SvnLevel, ...]
    misc_select: bytes = bytes(4)
    misc_select_mask: bytes = b"\xff" * 4
    attributes: bytes = b"\x11" + bytes(15)
    attributes_mask: bytes = b"\xfb" + b"\xff" * 7 + bytes(8)


def _judgement(date: str, status: str, advisory_ids: tuple[str, ...]) -> dict[str, object]:
    advisories: dict[str, object] = {"advisoryIDs": list(advisory_ids)} if advisory_ids else {}
    return {"tcbDate": date, "tcbStatus": status, **advisories}


OLDER = (*(max(0, svn - 1) for svn in COMPONENTS[:2]), *COMPONENTS[2:])
_SA = ("INTEL-SA-00000", "INTEL-SA-00001")
_TDX, _TDX_OLDER = (5, 0, 4, *[0] * 13), (5, 0, 3, *[0] * 13)

SGX_LEVELS = (
    Level(COMPONENTS, 11),
    Level(OLDER, 11, None, "OutOfDate", _SA, OLD),
    Level((0,) * 16, 0, None, "OutOfDate", _SA, OLD),
)
TDX_LEVELS = (
    Level(COMPONENTS, 11, _TDX),
    Level(OLDER, 11, _TDX_OLDER, "OutOfDate", _SA, OLD),
    Level((0,) * 16, 0, (0,) * 16, "OutOfDate", _SA, OLD),
)
MODULES = (
    Module(1, (SvnLevel(5), SvnLevel(2, "OutOfDate", _SA, OLD))),
    Module(3, (SvnLevel(5), SvnLevel(3, "OutOfDate", _SA, OLD))),
)
ENCLAVES = {
    "SGX": Enclave("QE", SGX_QE_MRSIGNER, 1, (SvnLevel(8), SvnLevel(6, "OutOfDate", _SA, OLD))),
    "TDX": Enclave("TD_QE", TD_QE_MRSIGNER, 2, (SvnLevel(4), SvnLevel(3, "OutOfDate", _SA, OLD))),
}
