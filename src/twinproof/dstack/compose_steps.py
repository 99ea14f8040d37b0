"""The steps about the compose file: is the text shown the one that was measured, and what does it leave open?"""

from __future__ import annotations

from twinproof.dstack.app_compose import AppCompose, compose_hash, parse_app_compose
from twinproof.dstack.known_boots import Deployment
from twinproof.dstack.mr_config import NO_DOCUMENT, MrConfigId, check_v2, check_v3_document, read_mr_config_id
from twinproof.dstack.plan import NO_EVENT_LOG
from twinproof.dstack.unmeasured import Notice, unmeasured_inputs
from twinproof.dstack.vm_config import VmConfig
from twinproof.errors import Contradiction, Malformed
from twinproof.ledger import Ledger
from twinproof.tdx.report import TdReport

__all__ = ["check_compose_hash", "check_mr_config_id", "list_unmeasured", "read_compose"]

NO_APP_COMPOSE = "no app-compose text in this evidence: pass --app-compose FILE"
CONFIG_UNUSED = "MR_CONFIG_ID is zero: this host does not set it"


def check_compose_hash(app_compose: str | None, boot: Deployment | None, ledger: Ledger) -> bool:
    """Step 6; whether the text is the measured one."""
    step_id = "dstack.compose_hash"
    if app_compose is None or boot is None:
        ledger.not_checked(step_id, NO_APP_COMPOSE if app_compose is None else NO_EVENT_LOG)
        return False
    with ledger.line(step_id) as entry:
        hashed = compose_hash(app_compose)
        entry.explain("hashed", f"SHA-256 over {len(app_compose)} characters of app-compose text")
        entry.got, entry.expected = hashed.hex(), boot.compose_hash.hex()
        if hashed != boot.compose_hash:
            raise Contradiction(
                "this app-compose text is not the one that was measured",
                where="app-compose",
                got=hashed.hex(),
                expected=boot.compose_hash.hex(),
                hint="the exact bytes are hashed: indentation, order and a final newline count",
            )
    return ledger.passed(step_id)


def check_mr_config_id(
    report: TdReport, app_compose: str | None, boot: Deployment | None, vm: VmConfig | None, ledger: Ledger
) -> bool:
    """Step 7; whether it shows that the text given is the measured one, which it can do without an event log."""
    value = report.mr_config_id
    with ledger.line("dstack.mr_config_id") as entry:
        entry.got = value.hex()
        given = compose_hash(app_compose) if app_compose is not None else None
        measured = boot.compose_hash if boot else given
        if not any(value):
            entry.not_checked = CONFIG_UNUSED
        elif measured is None:
            entry.not_checked = f"{NO_EVENT_LOG}, and no app-compose text to compare it with"
        else:
            config = read_mr_config_id(value, measured)
            entry.explain("form", config.form)
            if config.form == "V2":
                entry.not_checked = NO_EVENT_LOG if boot is None else check_v2(config.digest, boot)
            elif config.form == "V3":
                entry.not_checked = _v3(config, vm, boot)
            else:
                entry.expected = measured.hex()
                _must_name(config, "compose-hash event", boot.compose_hash if boot else None)
                _must_name(config, "app-compose text", given)
                return given is not None
    return False


def _v3(config: MrConfigId, vm: VmConfig | None, boot: Deployment | None) -> str:
    """Check the document, or say why that could not be done."""
    if vm is None or vm.mr_config is None:
        return NO_DOCUMENT
    if boot is None:
        return NO_EVENT_LOG
    check_v3_document(config.digest, vm.mr_config, boot)
    return ""


def _must_name(config: MrConfigId, what: str, value: bytes | None) -> None:
    if value is not None and value != config.digest:
        raise Contradiction(
            f"MR_CONFIG_ID names another compose file than the {what}",
            where="MR_CONFIG_ID",
            got=config.digest.hex(),
            expected=value.hex(),
        )


def read_compose(app_compose: str | None) -> AppCompose | None:
    """A measured text that cannot be read stays a text; step 11 says so."""
    try:
        return parse_app_compose(app_compose) if app_compose is not None else None
    except Malformed:
        return None


def list_unmeasured(app_compose: str | None, measured: bool, ledger: Ledger) -> tuple[Notice, ...]:
    """Step 12. Only a text that is the measured one says anything about this VM."""
    step_id = "dstack.unmeasured_inputs"
    if app_compose is None:
        ledger.not_checked(step_id, NO_APP_COMPOSE)
        return ()
    if not measured:
        ledger.not_checked(step_id, "the app-compose text was not shown to be the measured one")
        return ()
    notices: tuple[Notice, ...] = ()
    with ledger.line(step_id) as entry:
        notices = unmeasured_inputs(app_compose)
        entry.parts = tuple([(notice.id, (notice.said,)) for notice in notices])
        entry.warning = "; ".join([notice.said for notice in notices])
    return notices
