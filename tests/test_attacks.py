"""Attempts at an exit 0, or at a row of a report, that the evidence does not deserve. Each once succeeded."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from small_boot import COMPOSE, NO_PROVIDER, Boot
from small_files import root_file
from small_instance import AT, SESSION, Instance, edited, host, judge, pki, statement, twins, verifier
from twinproof import Outcome, compare
from twinproof.comparison import Proof
from twinproof.dcap.collateral import Collateral
from twinproof.dstack.compose_file import scan_compose_file
from twinproof.dstack.unmeasured import OPEN_CODE, unmeasured_inputs
from twinproof.errors import Malformed
from twinproof.evidence.bundle import bundle_to_json, parse_bundle
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.evidence.nonce import challenge_for
from twinproof.policy import Machine, Pins, Policy
from twinproof.report.proof_text import proof_text
from twinproof.report.verdict_text import verdict_text
from twinproof.sources.files import evidence_from_bytes
from twinproof.verdict import Status
from twinproof.wire import parse_json
from twinproof_devnet import collateral

URL = "https://prod9.example"


def enclave_evidence() -> Evidence:
    """A genuine SGX enclave of the attacker's, which signs a statement of the app's for the right nonce."""
    challenge = challenge_for(SESSION, 0, URL)
    text = statement(challenge.nonce)
    machine = host("prod9")
    return Evidence(
        source=URL,
        origin=Origin.TOY_EXAMPLE,
        quote=machine.sgx_quote(
            machine.enclave(hashlib.sha512(b"toy-example/attestation/v1:" + text.encode()).digest())
        ),
        event_log="[]",
        vm_config="{}",
        app_compose="",
        statement=text,
        challenge=challenge,
        fetched_at=AT,
        collateral=Collateral.from_json(json.dumps(collateral.make(pki(), AT, tee="SGX"))),
    )


def stripped_evidence() -> Evidence:
    """A genuine TD of the attacker's that states what it likes, without the log that would contradict it."""
    return edited(Instance().evidence(), event_log=None, app_compose=None, vm_config=None)


PINS = {"version": "1.2.0", "git_sha": "4" * 40, "compose_hash": bytes(32), "app_id": bytes(20), "kms_root": b"0"}


@pytest.mark.parametrize("evidence", [enclave_evidence(), stripped_evidence()], ids=["SGX enclave", "no event log"])
def test_what_was_not_measured_states_no_version(evidence: Evidence) -> None:
    verdict = judge(evidence)
    assert verdict.genuine
    assert verdict.check("evidence.report_data").status is Status.PASS
    assert verdict.claims.statement is None
    assert not verdict.check("policy.clock").passed


@pytest.mark.parametrize("evidence", [enclave_evidence(), stripped_evidence()], ids=["SGX enclave", "no event log"])
@pytest.mark.parametrize("name", PINS)
def test_a_pin_cannot_be_dodged_by_showing_less(evidence: Evidence, name: str) -> None:
    verdict = judge(evidence, Policy(pins=Pins(**{name: PINS[name]})))  # type: ignore[arg-type]
    assert (verdict.exit_code, [check.id for check in verdict.failures]) == (4, [f"policy.{name}"])


def test_a_pinned_kms_cannot_be_dodged_by_using_none() -> None:
    compose = json.dumps({**json.loads(COMPOSE), "key_provider": "none", "key_provider_id": ""})
    measured = hashlib.sha256(compose.encode()).digest()
    boot = Boot().without("os-image-hash").with_payload("key-provider", NO_PROVIDER)
    boot = boot.with_payload("compose-hash", measured).with_payload("app-id", measured[:20])
    instance = Instance(boot=boot, said={"compose_hash": measured.hex(), "app_id": measured[:20].hex()})
    evidence = edited(instance.evidence(), app_compose=compose)
    assert judge(evidence).accepted
    assert judge(evidence, Policy(kms_roots=(b"\x30",))).exit_code == 4


def test_a_bundle_that_calls_itself_ra_tls_binds_no_connection() -> None:
    verdict = judge(edited(Instance().evidence(), origin=Origin.RA_TLS))
    assert verdict.check("evidence.tls_key").status is Status.NOT_CHECKED


def test_a_duplicate_at_the_end_of_many_members_is_found_at_once() -> None:
    text = "{" + "".join(f'"{number}":0,' for number in range(200_000)) + '"twice":0,"twice":0}'
    started = time.process_time()
    with pytest.raises(Malformed, match="duplicate JSON member"):
        parse_json(text, "answer", max_bytes=1 << 23)
    assert time.process_time() - started < 5


def test_a_line_of_nothing_but_dashes_is_read_at_once() -> None:
    started = time.process_time()
    scan_compose_file("services:\n" + "- " * 2_000_000)
    assert time.process_time() - started < 5


def named_by(image: str) -> list[Evidence]:
    """Two machines that run one compose text, whose image is named like this."""
    text = json.dumps({**json.loads(COMPOSE), "docker_compose_file": f"services:\n  app:\n    image: {image}\n"})
    measured = hashlib.sha256(text.encode()).digest()
    boot = Boot().with_payload("compose-hash", measured)
    said: dict[str, object] = {"compose_hash": measured.hex()}
    return [edited(replace(one, boot=boot, said=said).evidence(), app_compose=text) for one in twins()]


def compared(evidences: list[Evidence]) -> Proof:
    judges = verifier()
    return compare([judges.verify(evidence) for evidence in evidences])


@pytest.mark.parametrize("image", ["registry.example/toy:latest", "registry.example/toy@sha256:${DIGEST}", "*other"])
def test_one_text_that_can_mean_two_programs_is_no_proof(image: str) -> None:
    proofs = [
        compared(evidences)
        for evidences in (named_by(image), [edited(e, statement=None, challenge=None) for e in named_by(image)])
    ]
    for proof in proofs:
        assert (proof.outcome, proof.exit_code) == (Outcome.NOT_SHOWN, 4)
        code = proof.check("compare.code")
        assert code.status is Status.NOT_CHECKED
        assert " ".join(code.reason.split()[:8]) in " ".join(proof_text(proof, proof.verdicts, now=AT).split())


def test_a_text_that_names_its_image_by_content_is_a_proof() -> None:
    assert compared(named_by(f"registry.example/toy@sha256:{'cd' * 32}")).complete


def with_compose(**changes: object) -> list[Evidence]:
    """Two machines that run one app-compose text, changed like this; its image is named by its content."""
    text = json.dumps({**json.loads(COMPOSE), **changes})
    measured = hashlib.sha256(text.encode()).digest()
    boot = Boot().with_payload("compose-hash", measured)
    said: dict[str, object] = {"compose_hash": measured.hex()}
    return [edited(replace(one, boot=boot, said=said).evidence(), app_compose=text) for one in twins()]


def service(lines: str) -> str:
    return f"services:\n  app:\n    image: registry.example/toy@sha256:{'cd' * 32}\n{lines}\n"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"allowed_envs": ["API_KEY", "COMPOSE_FILE"]}, "does not decide: COMPOSE_FILE"),
        ({"allowed_envs": ["BASH_ENV"]}, "does not decide: BASH_ENV"),
        ({"allowed_envs": ["LD_PRELOAD", "DOCKER_HOST"]}, "does not decide: LD_PRELOAD; DOCKER_HOST"),
        ({"docker_compose_file": service("    command: sh -c '${SCRIPT}'")}, "made: line 4: $SCRIPT"),
        (
            {"docker_compose_file": service("    command:\n    - sh\n    - -c\n    - |\n      $SCRIPT")},
            "line 8: $SCRIPT",
        ),
        ({"docker_compose_file": service("    volumes:\n      - ${FROM}:/app")}, "line 5: $FROM"),
        ({"docker_compose_file": service("    environment:\n      - ${ANY}")}, "line 5: $ANY"),
        ({"docker_compose_file": service("    environment:\n      A: &a ${X}\n    command: *a")}, "line 5: $X"),
        (
            {
                "docker_compose_file": json.dumps(
                    {"services": {"a": {"image": f"a@sha256:{'cd' * 32}", "command": "$X"}}}
                )
            },
            "$X",
        ),
        ({"docker_compose_file": service("  environment:\n    command: $X")}, "line 5: $X"),
        ({"docker_compose_file": service("configs:\n  main.py:\n    environment: CODE")}, "line 6: $CODE"),
        (
            {"docker_compose_file": service("configs:\n  main.py:\n    file: /dstack/.host-shared/.user-config")},
            "line 6: file",
        ),
        (
            {"docker_compose_file": service("configs:\n  main.py:\n    environment:\n      CODE")},
            "line 6: a variable is a config's content",
        ),
        (
            {"docker_compose_file": service("x-n: &n CODE\nconfigs:\n  main.py:\n    environment: *n")},
            "line 7: an alias where a config or a secret is made",
        ),
        (
            {"docker_compose_file": service("secrets:\n  t: &t\n    environment: CODE\nconfigs:\n  main.py: *t")},
            "line 8: an alias where a config or a secret is made",
        ),
        (
            {
                "docker_compose_file": service(
                    "x-a: &a\n  configs:\n    main.py:\n      environment:\n        CODE\n<<: *a"
                )
            },
            "line 9: an alias where a config or a secret is made",
        ),
        ({"docker_compose_file": service("configs:\n  main.py:\n    file:\n      ./unmeasured")}, "line 6: file"),
        (
            {
                "docker_compose_file": json.dumps(
                    {
                        "services": {"a": {"image": f"a@sha256:{'cd' * 32}"}},
                        "configs": {"main.py": {"environment": "CODE"}},
                    }
                )
            },
            "$CODE",
        ),
        ({"runner": "bash", "bash_script": "docker run evil:latest"}, "a script starts what runs"),
    ],
)
def test_code_that_the_environment_or_a_script_chooses_is_no_proof(changes: dict[str, object], reason: str) -> None:
    """The guest gives allowed variables to the shell that runs Docker Compose; anyone can seal values for them."""
    proof = compared(with_compose(**changes))
    assert (proof.outcome, proof.exit_code) == (Outcome.NOT_SHOWN, 4)
    code = proof.check("compare.code")
    assert code.status is Status.NOT_CHECKED
    assert reason in code.reason


@pytest.mark.parametrize(
    "lines",
    [
        "    environment:\n      API_KEY: ${API_KEY}\n      MODE: $MODE",
        "    environment:\n    - API_KEY=${API_KEY}\n    ports:\n    - ${PORT:-80}:80",
        "    secrets:\n    - token\nsecrets:\n  token:\n    environment: API_KEY",
        "    environment: *e\nx-e: &e\n  MODE: fast",
        "    command: sh -c 'ls *.py $$HOME'\n    environment:\n      API_KEY: ${API_KEY}",
    ],
)
def test_a_secret_from_outside_is_a_setting_and_keeps_no_proof_from_being_complete(lines: str) -> None:
    assert compared(
        with_compose(docker_compose_file=service(lines), allowed_envs=["API_KEY", "DOCKER_PASSWORD"])
    ).complete


def test_without_statements_a_private_compose_text_is_still_comparable() -> None:
    bare = [edited(one.evidence(), statement=None, challenge=None, app_compose=None) for one in twins()]
    assert compared(bare).outcome is Outcome.NOT_FRESH


def test_an_endpoint_that_is_missing_on_one_machine_only_is_no_equality() -> None:
    """The same code has the same endpoints: a recorded answer stands in for the one that was kept from answering."""
    first, second = (instance.evidence() for instance in twins())
    proof = compared([first, edited(second, statement=None, challenge=None)])
    assert (proof.outcome, proof.exit_code) == (Outcome.NOT_SHOWN, 4)


def test_answers_of_one_session_that_are_far_apart_are_not_one_run() -> None:
    first, second = twins()
    proof = compared([first.evidence(), second.evidence(at=AT + 86400)])
    assert (proof.outcome, proof.complete) == (Outcome.NOT_FRESH, False)
    assert "86400 s apart" in proof.check("compare.fresh").reason


MACHINES = tuple(
    Machine(name, region, f"https://{name}.example", host(name).device_id)
    for name, region in (("prod9", "US-WEST"), ("prod7", "US-EAST"))
)


@pytest.mark.parametrize(
    "url", ["https://prod9.example:443", "https://PROD9.example/", "HTTPS://prod9.example", "https://prod9.example."]
)
def test_a_pinned_machine_asked_by_another_spelling_of_its_address_is_held_against_its_device_id(url: str) -> None:
    evidence = edited(Instance(machine="prod8").evidence(), source=url)
    verdict = judge(evidence, Policy(machines=MACHINES))
    assert verdict.check("policy.machine").error == "Refused"
    assert "the machine that answered is not prod9" in verdict.check("policy.machine").reason
    other = edited(evidence, source=url.replace("https", "http").replace("HTTPS", "http").replace(":443", ""))
    assert judge(other, Policy(machines=MACHINES)).check("policy.machine").status is Status.NOT_CHECKED


class Elsewhere(Instance):
    """An instance on another machine, which chose its session and calls itself whatever it likes."""

    called = ""

    @property
    def url(self) -> str:
        return self.called


def impostors(*names: str) -> list[Evidence]:
    found = []
    for index, name in enumerate(names):
        instance = Elsewhere(f"impostor{index}", index, instance_id=bytes([index]) * 20)
        instance.called = name
        found.append(instance.evidence())
    return found


@pytest.mark.parametrize("names", [("prod9 (US-WEST)", "prod7 (US-EAST)"), ("prod9", "https://prod7")])
def test_evidence_that_calls_itself_a_known_machine_is_held_against_its_device_id(names: tuple[str, str]) -> None:
    judges = verifier(Policy(machines=MACHINES))
    proof = compare([judges.verify(evidence) for evidence in impostors(*names)])
    assert (proof.outcome, proof.exit_code) == (Outcome.REFUSED, 4)
    assert {check.id for verdict in proof.verdicts for check in verdict.failures} == {"policy.machine"}


@pytest.mark.parametrize(
    "name", ["prod9", "PROD9 (us-west)", "https://prod9 (US-WEST)/", "pr\u043ed9", "prod9 (US-WEST) ", "prod9,prod7"]
)
def test_a_name_of_the_evidences_own_never_looks_like_a_label(name: str) -> None:
    unpinned = tuple(machine._replace(device_id=None) for machine in MACHINES)
    verdict = judge(impostors(name)[0], Policy(machines=unpinned))
    assert verdict.title.startswith('"')
    assert verdict.title == verdict.name
    assert judge(Instance().evidence(), Policy(machines=MACHINES)).title == "prod9 (US-WEST)"
    assert judge(Instance().evidence()).title == "prod9-0.example"


def test_the_address_that_a_file_names_gives_it_no_label_unless_its_device_id_does() -> None:
    evidence = impostors("https://prod9.example")[0]
    unpinned = Policy(machines=tuple(machine._replace(device_id=None) for machine in MACHINES))
    assert judge(evidence, unpinned).title == "prod9 (US-WEST)"  # asked there by this tool
    assert judge(edited(evidence, stored=True), unpinned).title == "prod9.example"
    assert judge(edited(evidence, stored=True), Policy(machines=MACHINES)).exit_code == 4


def test_a_file_is_never_evidence_about_now() -> None:
    bundle = evidence_from_bytes(bundle_to_json(Instance().evidence()).encode(), "bundle.json")
    verdict = judge(bundle)
    assert (verdict.exit_code, verdict.to_json()["stored"]) == (0, True)
    assert "says nothing about now" in " ".join(verdict_text(verdict, now=AT).split())
    assert judge(bundle, Policy(required=frozenset({"fresh"}))).exit_code == 4
    assert judge(bundle, Policy(required=frozenset({"policy.fresh"}))).exit_code == 4
    assert judge(Instance().evidence(), Policy(required=frozenset({"fresh"}))).exit_code == 0


def test_two_files_from_two_times_say_both() -> None:
    proof = compared([twins()[0].evidence(), twins()[1].evidence(at=AT + 86400)])
    assert "2026-09-21" in (text := " ".join(proof_text(proof, proof.verdicts, now=AT).split()))
    assert "to 2026-09-22" in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_statement_in_any_script_breaks_no_terminal(encoding: str, tmp_path: Path) -> None:
    bundles = []
    for instance in twins():
        evidence = replace(instance, said={"health": "h\u00e9 \u05d0 12 \u4e2d", "environment": "\u00fc"}).evidence()
        bundles.append(tmp_path / f"{instance.machine}.json")
        bundles[-1].write_text(bundle_to_json(evidence))
    done = subprocess.run(
        [sys.executable, "-m", "twinproof", "compare", *map(str, bundles), "--trust-root", str(root_file(tmp_path))],
        check=False,
        capture_output=True,
        encoding=encoding,
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": encoding},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "PROOF COMPLETE" in done.stdout
    assert "\u05d0" not in done.stdout


@pytest.mark.parametrize(
    "lines",
    [
        "    volumes:\n      - type: image\n        source: tools:latest\n        target: /opt",
        "models:\n  m:\n    model: m:1",
    ],
)
def test_code_that_comes_in_beside_the_images_is_not_passed_over(lines: str) -> None:
    text = f"services:\n  app:\n    image: toy@sha256:{'ab' * 32}\n{lines}\n"
    compose = json.dumps({**json.loads(COMPOSE), "docker_compose_file": text})
    assert OPEN_CODE & {notice.id for notice in unmeasured_inputs(compose)}


def tls_certificate() -> tuple[bytes, bytes]:
    """A certificate of nobody's and the SHA-256 of its key, as a statement names it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "prod9.example")])
    day = datetime(2026, 9, 21, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(day)
        .not_valid_after(day + timedelta(days=1))
        .sign(key, SHA256())
    )
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return certificate.public_bytes(Encoding.DER), hashlib.sha256(spki).digest()


def test_a_connection_that_ends_at_another_key_than_the_quote_names_is_caught() -> None:
    (own, named), (other, _) = tls_certificate(), tls_certificate()
    evidence = Instance(said={"tls_spki_sha256": named.hex()}).evidence()
    assert judge(edited(evidence, tls_certificate=own)).check("evidence.tls_key").status is Status.PASS
    verdict = judge(edited(evidence, tls_certificate=other))
    assert (verdict.exit_code, [check.id for check in verdict.failures]) == (3, ["evidence.tls_key"])
    assert judge(evidence).check("evidence.tls_key").status is Status.NOT_CHECKED


def test_a_certificate_in_a_file_is_nothing_that_this_tool_saw() -> None:
    certificate, named = tls_certificate()
    evidence = edited(Instance(said={"tls_spki_sha256": named.hex()}).evidence(), tls_certificate=certificate)
    texts = [" ".join(verdict_text(judge(item), now=AT).split()) for item in (evidence, edited(evidence, stored=True))]
    assert [text.count("the certificate that this tool saw") for text in texts] == [1, 0]
    assert "the certificate that a file says was seen" in texts[1]


def test_no_mixture_of_honest_bundles_proves_more_than_they_do() -> None:
    """Members swapped, dropped and spoiled at random: what is proved rests on what was measured."""
    chance = random.Random(20261124)
    honest, twin = (json.loads(bundle_to_json(one.evidence())) for one in twins())
    newer = json.loads(bundle_to_json(replace(twins()[1], said={"version": "9.9.9"}).evidence()))
    names = [name for name in twin if name not in {"collateral", "schema"}]
    judges = verifier(Policy(pins=Pins(version="1.2.0", compose_hash=hashlib.sha256(COMPOSE.encode()).digest())))
    first, outcomes = judges.verify(parse_bundle(json.dumps(honest))), set()
    for _ in range(500):
        mixed = dict(twin)
        for name in chance.choices(names, k=chance.randint(1, 3)):
            value = chance.choice([honest, newer]).get(name)
            if isinstance(value, str) and value and chance.random() < 0.3:
                at = chance.randrange(len(value))
                value = value[:at] + chance.choice('0f{",: ') + value[at + 1 :]
            mixed[name] = value
        try:
            verdict = judges.verify(parse_bundle(json.dumps({k: v for k, v in mixed.items() if v is not None})), at=AT)
        except Malformed:
            continue
        proof = compare([first, verdict])
        outcomes.add(proof.outcome)
        if proof.complete:
            changed = {name for name in twin if mixed[name] != twin[name]}
            assert changed <= {"origin", "vm_config"}  # which nothing measures, and no row is taken from
    assert {Outcome.COMPLETE, Outcome.NOT_GENUINE, Outcome.DIFFERENT} <= outcomes
