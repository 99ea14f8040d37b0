"""What the browser repeats beyond the quote: the chain's Merkle proofs, MR_CONFIG_ID, and the key of an RA-TLS leaf."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from browser import from_disk
from small_boot import APP_ID, COMPOSE_HASH, KMS, Boot
from small_chain import AT as CHAIN_AT
from small_chain import TRUSTED, plain, proved
from small_instance import AT, Instance, devnet_collateral, edited, judge, verifier
from twinproof.chain_question import attested_by
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.keccak import keccak256
from twinproof.policy import Policy
from twinproof.report.chain_text import chain_sentence
from twinproof.report.html.page import html_report
from twinproof_devnet.certificate import new_key
from twinproof_devnet.ra_tls import LeafRequest, app_ca, issue_leaf, report_data

POLICY = Policy(chain=TRUSTED)
AGREES = "all hold, and it agrees with the report"
PROVED = "header state_proof app implementation compose_hash device os_image key_provider log"


def with_chain(*, proof: bool = True) -> Evidence:
    evidence = Instance().evidence()
    attested = attested_by(judge(evidence).claims)
    assert attested is not None
    made = proved(attested, at=CHAIN_AT)
    if proof:
        return evidence.with_chain(made)
    return evidence.with_chain(replace(made, proof=None, plain=plain(attested)))


def report(evidence: Evidence) -> str:
    return html_report(None, [verifier(POLICY).verify(evidence)], now=AT)


class Shown:
    """What the browser says of each check, and the whole."""

    def __init__(self, browser: Browser, folder: Path, text: str) -> None:
        with from_disk(browser, folder, text) as visit:
            self.conclusion = visit.page.inner_text("#browser-progress")
            found = visit.page.evaluate(
                "[...document.querySelectorAll('.browser[id^=browser-0-]')]"
                ".map((node) => [node.id, node.dataset.status, node.textContent])"
            )
            edges = visit.page.evaluate(
                "[...document.querySelectorAll('g.edge')]"
                ".map((node) => [node.dataset.link, node.dataset.status, node.dataset.browser])"
            )
            self.said = visit.said
        self.checks = {name.removeprefix("browser-0-"): (status, text) for name, status, text in found}
        self.edges = {name: (status, repeated) for name, status, repeated in edges}


def changed(text: str, edit: Callable[[Any], None]) -> str:
    match = re.search(r'id="evidence-0">(.*?)</script>', text, re.DOTALL)
    assert match
    block = json.loads(match[1])
    edit(block["bundle"]["chain"])
    return text[: match.start(1)] + json.dumps(block) + text[match.end(1) :]


def flip(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def test_the_browser_proves_what_the_contracts_allow(browser: Browser, tmp_path: Path) -> None:
    shown = Shown(browser, tmp_path, report(with_chain()))
    assert AGREES in shown.conclusion
    assert {name: shown.checks[f"chain.{name}"][0] for name in PROVED.split()} == dict.fromkeys(PROVED.split(), "pass")
    assert shown.edges["compose-base"][1] == "repeated"
    for name in ("agreement", "finality", "network", "recent"):
        assert shown.checks[f"chain.{name}"][0] == "not_checked"
        assert "not repeated (" in shown.checks[f"chain.{name}"][1]
    assert shown.said == []


def test_the_page_says_in_words_what_the_chain_adds_as_the_terminal_does() -> None:
    sentence = chain_sentence([verifier(POLICY).verify(with_chain())])
    assert sentence.startswith("Its compose hash is allowed in public; proved at a final block")
    assert escape(sentence) in report(with_chain()).partition("</header>")[0]
    head = report(with_chain(proof=False)).partition("</header>")[0]
    assert "Not shown: that this code was allowed in public" in head
    assert "allowed in public" not in report(Instance().evidence()).partition("</header>")[0]


def test_answers_without_a_proof_are_grey_with_the_reason(browser: Browser, tmp_path: Path) -> None:
    shown = Shown(browser, tmp_path, report(with_chain(proof=False)))
    assert shown.checks["chain.state_proof"] == (
        "not_checked",
        "this browser: not repeated (no proof is inside: the word of one endpoint)",
    )
    assert shown.checks["chain.compose_hash"][0] == "not_checked"
    assert AGREES in shown.conclusion


def test_no_check_is_left_without_a_word_and_no_edge_is_green_by_the_tool_alone_unseen(
    browser: Browser, tmp_path: Path
) -> None:
    """Green and filled is what this browser repeated a part of; what it repeated nothing of is hollow."""
    shown = Shown(browser, tmp_path, report(Instance().evidence()))
    assert {status for status, _ in shown.checks.values()} == {"pass", "not_checked"}
    assert all("this browser: " in text for _, text in shown.checks.values())
    assert all("not repeated (" in text for status, text in shown.checks.values() if status == "not_checked")
    hollow = {name for name, (status, repeated) in shown.edges.items() if status == "pass" and repeated == "none"}
    assert hollow == {"quote-registers", "compose-containers"}


def _header(chain: Any) -> None:
    chain["block"]["header"] = flip(chain["block"]["header"])


def _account(chain: Any) -> None:
    chain["proof"]["app"]["accountProof"][0] = flip(chain["proof"]["app"]["accountProof"][0])


def _slot(chain: Any) -> None:
    slot = next(item for item in chain["proof"]["app"]["storageProof"] if item["value"] == "0x1")
    slot["value"] = "0x0"


def _receipt(chain: Any) -> None:
    chain["allowed_by"]["receipt"]["nodes"][-1] = flip(chain["allowed_by"]["receipt"]["nodes"][-1])


def _other(chain: Any) -> None:
    chain["allowed_by"]["log"]["data"] = flip(chain["allowed_by"]["log"]["data"])


@pytest.mark.parametrize(
    ("edit", "failed"),
    [
        (_header, "header"),
        (_account, "state_proof"),
        (_slot, "state_proof"),
        (_receipt, "log"),
        (_other, "log"),
    ],
)
def test_one_changed_byte_of_the_chain_turns_its_edge_red(
    edit: Callable[[Any], None], failed: str, browser: Browser, tmp_path: Path
) -> None:
    shown = Shown(browser, tmp_path, changed(report(with_chain()), edit))
    assert "This browser DISAGREES" in shown.conclusion
    assert {name for name, (status, _) in shown.checks.items() if status == "fail"} == {f"chain.{failed}"}
    assert {name for name, (status, _) in shown.edges.items() if status == "fail"} == {"compose-base"}


def test_a_chain_that_was_taken_out_leaves_no_green_edge_undisputed(browser: Browser, tmp_path: Path) -> None:
    text = report(with_chain())
    match = re.search(r'id="evidence-0">(.*?)</script>', text, re.DOTALL)
    assert match
    block = json.loads(match[1])
    del block["bundle"]["chain"]
    shown = Shown(browser, tmp_path, text[: match.start(1)] + json.dumps(block) + text[match.end(1) :])
    assert "This browser DISAGREES" in shown.conclusion


def _v2(app_id: bytes) -> bytes:
    provider = json.loads(KMS)
    return b"\2" + keccak256(COMPOSE_HASH + app_id + b"\2" + bytes.fromhex(provider["id"])) + bytes(15)


def test_mr_config_id_of_version_2_is_recomputed(browser: Browser, tmp_path: Path) -> None:
    shown = Shown(browser, tmp_path, report(Instance(boot=Boot(mr_config_id=_v2(APP_ID))).evidence()))
    assert shown.checks["dstack.mr_config_id"][0] == "pass"
    shown = Shown(browser, tmp_path, report(Instance(boot=Boot(mr_config_id=_v2(bytes(20)))).evidence()))
    assert shown.checks["dstack.mr_config_id"][0] == "fail"
    assert "do not hold, as the report says" in shown.conclusion


def test_mr_config_id_of_version_3_without_its_document_is_grey(browser: Browser, tmp_path: Path) -> None:
    shown = Shown(browser, tmp_path, report(Instance(boot=Boot(mr_config_id=b"\3" + bytes(47))).evidence()))
    assert shown.checks["dstack.mr_config_id"][0] == "not_checked"
    assert "the document of version 3" in shown.checks["dstack.mr_config_id"][1]


@pytest.mark.parametrize(("over", "status"), [("tls", "pass"), ("other", "fail")])
def test_the_quote_signs_the_key_of_an_ra_tls_certificate_or_not(
    over: str, status: str, browser: Browser, tmp_path: Path
) -> None:
    keys = {name: new_key() for name in ("tls", "other", "ca")}
    boot = Boot()
    quote = Instance().quote(boot, report_data(keys[over]))
    attached = (("1", quote), ("2", boot.log(digests=False).encode()))
    leaf = issue_leaf(
        LeafRequest(keys["tls"], "app", AT - 60, AT + 60, attached=attached), app_ca(None, keys["ca"], AT)
    ).der
    evidence = edited(
        Evidence(source=Instance().url, origin=Origin.RA_TLS, ra_tls_certificate=leaf, tls_certificate=leaf),
        fetched_at=AT,
        collateral=devnet_collateral(),
    )
    shown = Shown(browser, tmp_path, report(evidence))
    assert shown.checks["evidence.report_data"][0] == status
    assert shown.checks["evidence.tls_key"][0] == "pass"
    assert ("DISAGREES" in shown.conclusion) is False
