"""From SVNs to one status: levels, TDX modules, convergence, relaunch, revocation: steps 15 to 20."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from twinproof_devnet.collateral import Documents, make
from twinproof_devnet.corpus.case import Case, Rule
from twinproof_devnet.corpus.rig import Rig
from twinproof_devnet.host import TdxHost
from twinproof_devnet.machine import COMPONENTS, Machine
from twinproof_devnet.tcb_levels import ENCLAVES, Level, Module, SvnLevel

__all__ = ["tcb_cases"]

_MATCH, _MODULE = "dcap.platform_match", "dcap.tdx_module"
_TCB_LEVEL, _CURRENT, _REVOKED = "dcap.tcb_level", "dcap.current_tcb", "dcap.not_revoked"
_OUT = {"OutOfDate", "OutOfDateConfigurationNeeded"}
_CONFIGURATION = {"ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded"}
_PLATFORM = ("UpToDate", "SWHardeningNeeded", *sorted(_CONFIGURATION), "OutOfDate", "Revoked")
_COMPONENT = ("UpToDate", "OutOfDate", "Revoked")
_OLD = "2023-01-01T00:00:00Z"


def _svns(*first: int) -> tuple[int, ...]:
    return (*first, *[0] * (16 - len(first)))


_TDX = _svns(5, 0, 4)
_TOP = Level(COMPONENTS, 11, _TDX)
_BOTTOM = Level(_svns(), 0, _svns(), "OutOfDate", ("INTEL-SA-00002",), _OLD)


def tcb_cases(rig: Rig) -> Iterator[Case]:
    """Steps 15 to 20."""
    yield from _platform_match(rig)
    yield from _modules(rig)
    yield from _levels(rig)
    yield from _convergence(rig)
    yield from _relaunch(rig)
    yield from _current(rig)
    yield from _memory(rig)


def _documents(
    rig: Rig, *levels: Level, module: tuple[SvnLevel, ...] = (SvnLevel(5),), qe: str = "UpToDate"
) -> Documents:
    enclave = replace(ENCLAVES["TDX"], levels=(SvnLevel(4, qe),))
    return replace(rig.documents, levels=levels, modules=(Module(1, module),), enclave=enclave)


def _given(
    rig: Rig, documents: Documents, launch: bytes, current: bytes | None = None, host: TdxHost | None = None
) -> dict[str, Any]:
    """Quote and collateral: a TD launched under `launch`; with `current`, of TDX 1.5 and under that now."""
    host = host or rig.host
    host = replace(host, module=replace(host.module, tee_tcb_svn=launch, tee_tcb_svn2=current))
    quote = rig.quote(5, "TD1.5", host=host) if current else rig.quote(host=host)
    return {"quote": quote, "collateral": dict(make(rig.pki, rig.at, documents=documents))}


def _tee(*first: int) -> bytes:
    return bytes(_svns(*first))


def _platform_match(rig: Rig) -> Iterator[Case]:
    for name, description, change in (
        ("fmspc", "the levels of another platform (FMSPC)", {"fmspc": bytes(6)}),
        ("fmspc-last-byte", "an FMSPC that differs in the last byte", {"fmspc": bytes.fromhex("DE5E7A000001")}),
        ("pce-id", "the levels of another PCE", {"pce_id": b"\x01\x00"}),
    ):
        documents: Documents = replace(rig.documents, **change)  # type: ignore[arg-type]
        yield rig.refuse(_MATCH, name, description, collateral=rig.collateral(documents=documents))


def _modules(rig: Rig) -> Iterator[Case]:
    for version in (0, 1):
        changes: dict[str, dict[str, Any]] = {
            "signer": {"mrsignerseam": b"\x01" * 48},
            "attributes": {"seam_attributes": b"\x01" + bytes(7)},
        }
        for name, change in changes.items():
            host = replace(rig.host, module=replace(rig.host.module, tee_tcb_svn=_tee(5, version, 4), **change))
            yield rig.refuse(
                _MODULE, f"{name}-v{version}", f"module version {version}: another {name}", quote=rig.quote(host=host)
            )
    level = _documents(rig, _TOP, _BOTTOM, module=(SvnLevel(6),))
    yield rig.refuse(_MODULE, "below", "a module below all its levels", **_given(rig, level, _tee(5, 1, 4)))
    known = _documents(rig, _TOP, _BOTTOM)
    yield rig.refuse(_MODULE, "unknown", "a module version that is not listed", **_given(rig, known, _tee(5, 2, 4)))
    listed = Module(1, (SvnLevel(5),), attributes=b"\x01" + bytes(7))
    host = replace(rig.host, module=replace(rig.host.module, seam_attributes=b"\x01" + bytes(7)))
    yield rig.refuse(
        _MODULE,
        "attributes-listed",
        "SEAM attributes that are not zero, in an identity that lists them",
        **_given(rig, replace(known, modules=(listed,)), _tee(5, 1, 4), host=host),
        rule=Rule.STRICT,
    )
    own_signer = Module(1, (SvnLevel(5),), mrsigner=b"\x07" * 48)
    yield rig.refuse(
        _MODULE,
        "own-signer",
        "the identity of this version names another signer than the unversioned one",
        **_given(rig, replace(known, modules=(own_signer,)), _tee(5, 1, 4)),
    )


def _levels(rig: Rig) -> Iterator[Case]:
    launch = _tee(5, 1, 4)
    yield rig.refuse(
        _TCB_LEVEL, "tdx-below", "a TDX component below all levels", **_given(rig, _documents(rig, _TOP), _tee(5, 1, 3))
    )
    higher = replace(_TOP, pce_svn=12)
    yield rig.refuse(_TCB_LEVEL, "pcesvn", "a PCESVN below all levels", **_given(rig, _documents(rig, higher), launch))
    for index in (0, 1, 7, 15):
        components = tuple(svn + (position == index) for position, svn in enumerate(COMPONENTS))
        above = replace(_TOP, components=components)
        yield rig.refuse(
            _TCB_LEVEL,
            f"component-{index}",
            f"SGX component {index} below all levels",
            **_given(rig, _documents(rig, above), launch),
        )
        yield rig.accept(
            f"level.component-{index}",
            f"SGX component {index} alone is too low for the upper level",
            **_given(rig, _documents(rig, above, _BOTTOM), launch),
            status="OutOfDate",
        )
    for index in (2, 3, 15):
        components = tuple(svn + (position == index) for position, svn in enumerate(_TDX))
        above = replace(_TOP, tdx_components=components)
        yield rig.accept(
            f"level.tdx-component-{index}",
            f"TDX component {index} alone is too low for the upper level",
            **_given(rig, _documents(rig, above, _BOTTOM), launch),
            status="OutOfDate",
        )
    for index in (0, 1):
        components = tuple(99 if position == index else svn for position, svn in enumerate(_TDX))
        documents = _documents(rig, replace(_TOP, tdx_components=components), _BOTTOM)
        yield rig.accept(
            f"level.module-owns-component-{index}",
            f"TDX component {index} is not compared: the module has a version and an identity of its own",
            **_given(rig, documents, launch),
        )
        yield rig.accept(
            f"level.component-{index}-without-module-version",
            f"TDX component {index} is compared: the module has no version",
            **_given(rig, documents, _tee(5, 0, 4)),
            status="OutOfDate",
        )
    low = TdxHost.create(rig.pki, rig.at, machine=replace(Machine.named("low"), components=_svns(4), pce_svn=99))
    yield rig.accept(
        "level.pcesvn-makes-up-for-nothing",
        "a high PCESVN and low components",
        **_given(rig, _documents(rig, _TOP, _BOTTOM), launch, host=low),
        status="OutOfDate",
    )
    yield rig.accept(
        "level.order-of-the-document",
        "levels in the wrong order: the highest that is reached counts, not the first",
        **_given(rig, _documents(rig, _BOTTOM, _TOP), launch),
    )
    above = replace(_TOP, pce_svn=12, status="Revoked")
    yield rig.accept(
        "level.revoked-above",
        "a revoked level above the one that is reached",
        **_given(rig, _documents(rig, above, _TOP), launch),
    )


def _converged(platform: str, *components: str) -> str:
    if "Revoked" in (platform, *components):
        return "Revoked"
    if "OutOfDate" in components:
        return "OutOfDateConfigurationNeeded" if platform in _CONFIGURATION else "OutOfDate"
    return platform


def _convergence(rig: Rig) -> Iterator[Case]:
    """All 63 rows."""
    for platform, qe, module in product(_PLATFORM, _COMPONENT, _COMPONENT):
        documents = _documents(rig, replace(_TOP, status=platform), module=(SvnLevel(5, module),), qe=qe)
        status = _converged(platform, qe, module)
        name = f"converge.{platform}-{qe}-{module}"
        description = f"platform {platform}, quoting enclave {qe}, module {module}"
        given = _given(rig, documents, _tee(5, 1, 4))
        if status == "Revoked":
            yield rig.refuse(_REVOKED, name, description, **given)
        else:
            yield rig.accept(name, description, **given, status=status)


def _relaunched(launch: str, current: str) -> str:
    if launch in _OUT and current not in _OUT:
        needed = launch in _CONFIGURATION or current in _CONFIGURATION
        return "TDRelaunchAdvisedConfigurationNeeded" if needed else "TDRelaunchAdvised"
    return launch


def _relaunch(rig: Rig) -> Iterator[Case]:
    """All 49 pairs: the late microcode (TDX component 2) was 3 at launch and is 4 now."""
    for launch, current in product(_PLATFORM, _PLATFORM):
        below = replace(_TOP, tdx_components=_svns(5, 0, 3), status=launch)
        documents = _documents(rig, replace(_TOP, status=current), below)
        given = _given(rig, documents, _tee(5, 1, 3), _tee(5, 1, 4))
        name, description = f"relaunch.{launch}-{current}", f"TD 1.5: launched under {launch}, now {current}"
        if "Revoked" in (launch, current):
            rule = Rule.GENUINE if launch == "Revoked" else Rule.STRICT
            yield rig.refuse(_REVOKED, name, description, **given, rule=rule)
        else:
            yield rig.accept(name, description, **given, status=_relaunched(launch, current))


def _current(rig: Rig) -> Iterator[Case]:
    good = _documents(rig, _TOP)
    launch = _tee(5, 1, 4)
    for name, description, current in (
        ("unknown-module", "the module running now has an unknown version", _tee(5, 9, 4)),
        ("below", "the platform is below all levels now", _tee(5, 1, 3)),
        ("module-below", "the module running now is below all its levels", _tee(4, 1, 4)),
    ):
        yield rig.refuse(_CURRENT, name, f"TD 1.5: {description}", **_given(rig, good, launch, current))
    old_module = (SvnLevel(7), SvnLevel(3, "OutOfDate", (), _OLD))
    documents = _documents(rig, _TOP, module=old_module)
    yield rig.accept(
        "relaunch.module",
        "TD 1.5: launched before the module was updated",
        **_given(rig, documents, launch, _tee(7, 1, 4)),
        status="TDRelaunchAdvised",
    )
    yield rig.accept(
        "relaunch.module-gone-back",
        "TD 1.5: the module is older now than at launch; the status is that of the launch",
        **_given(rig, documents, _tee(7, 1, 4), launch),
    )
    yield rig.accept(
        "relaunch.quoting-enclave",
        "TD 1.5: an old quoting enclave is not healed by launching again",
        **_given(rig, _documents(rig, _TOP, module=old_module, qe="OutOfDate"), launch, _tee(7, 1, 4)),
        status="OutOfDate",
    )


def _memory(rig: Rig) -> Iterator[Case]:
    """The same quote again and again, with other collateral: a verifier may remember signatures, not answers."""
    quote = rig.quote()
    for number, status in enumerate(("UpToDate", "OutOfDate", "Revoked", "UpToDate", "ConfigurationNeeded")):
        documents = _documents(rig, replace(_TOP, status=status))
        collateral = rig.collateral(documents=documents)
        name, description = f"memory.{number}-{status}", f"the same quote as its neighbours, collateral: {status}"
        if status == "Revoked":
            yield rig.refuse(_REVOKED, name, description, quote=quote, collateral=collateral)
        else:
            yield rig.accept(name, description, quote=quote, collateral=collateral, status=status)
    serial = rig.host.pck.serial
    yield rig.refuse(
        "dcap.pck_crl",
        "memory.5-revoked",
        "the same quote as its neighbours, revoked meanwhile",
        quote=quote,
        collateral=dict(make(rig.pki, rig.at, revoked_pck=[serial])),
    )
    later = rig.at + 31 * 86_400
    lists = {"root_ca_crl": rig.pki.root_crl(later).hex(), "pck_crl": rig.pki.pck_crl(later).hex()}
    yield rig.refuse(
        "dcap.tcb_info",
        "memory.6-later",
        "the same quote and documents a month later, beside new revocation lists",
        quote=quote,
        collateral=rig.collateral() | lists,
        at=later,
    )
