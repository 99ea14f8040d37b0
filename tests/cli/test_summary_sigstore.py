"""A summary signed with an OIDC identity, at a Sigstore instance of our own on loopback: Sigstore's verifier takes it.

Nothing here can reach another machine: a connection to anything but loopback is an error.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
from sigstore.errors import VerificationError
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

from loopback import Identity as TlsIdentity
from loopback import http_answer, serving
from small_files import root_file, twin_files
from twinproof.cli.main import main
from twinproof_devnet.certificate import new_key
from twinproof_devnet.loopback import Answer, LoopbackServer, Request
from twinproof_devnet.sigstore.instance import SigstoreInstance
from twinproof_devnet.sigstore.rekor import Rekor

ALICE = "alice@example.org"
WORKFLOW = "example/toy/.github/workflows/prove.yml@refs/tags/v1.2.0"


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: tuple[str, int]) -> None:
        assert address[0] == "127.0.0.1", f"asked {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setenv("no_proxy", "")  # both are put back: the command adds to them
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "GOOGLE_SERVICE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sigstore() -> Iterator[SigstoreInstance]:
    instance = SigstoreInstance()
    yield instance
    instance.close()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two bundles, and the flags to sum them up by."""
    return [
        *map(str, twin_files(tmp_path)),
        "--trust-root",
        str(root_file(tmp_path)),
        "--no-cache",
        "--timeout",
        "5",
        "--format",
        "vsa",
    ]


@pytest.fixture
def signing(sigstore: SigstoreInstance, tmp_path: Path) -> list[str]:
    """The flags that sign as Alice."""
    return [*trusting(sigstore, tmp_path), "--sigstore-token-file", token_file(sigstore, tmp_path)]


@pytest.fixture
def verifying(files: list[str], signing: list[str]) -> list[str]:
    """A whole command: one verdict, summed up and signed as Alice."""
    return ["verify", files[0], *files[2:], *signing]


def trusting(sigstore: SigstoreInstance, tmp_path: Path) -> list[str]:
    path = tmp_path / "trust.json"
    path.write_text(sigstore.trust_config(), encoding="ascii")
    return ["--sigstore-trust-config", str(path)]


def token_file(sigstore: SigstoreInstance, tmp_path: Path, **how: int | str) -> str:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(sigstore.provider.token({"email": ALICE}, **how) + "\n", encoding="ascii")  # type: ignore[arg-type]
    return str(path)


def judged(sigstore: SigstoreInstance, bundle: str, identity: str = ALICE, issuer: str | None = None) -> bytes:
    """What Sigstore's own verifier says the payload is. Raises VerificationError."""
    config = ClientTrustConfig.from_json(sigstore.trust_config())
    wanted = Identity(identity=identity, issuer=issuer or sigstore.provider.url)
    kind, payload = Verifier(trusted_root=config.trusted_root).verify_dsse(Bundle.from_json(bundle), wanted)
    assert kind == "application/vnd.in-toto+json"
    return payload


def test_the_summary_is_a_bundle_that_sigstores_verifier_takes(
    sigstore: SigstoreInstance, files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *files]) == 0
    statement = capsys.readouterr().out.strip().encode()
    assert main(["compare", *files, *signing]) == 0
    captured = capsys.readouterr()
    assert judged(sigstore, captured.out) == statement
    assert f"signed by {ALICE}, as {sigstore.provider.url} says; log entry 0" in captured.err
    assert f"signing at {sigstore.fulcio.url}, {sigstore.rekor.url}" in captured.err
    assert captured.out.isascii()


def test_every_signature_is_an_entry_of_the_log_and_proved_to_be_in_it(
    sigstore: SigstoreInstance, verifying: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for count in range(1, 6):
        assert main(verifying) == 0
        judged(sigstore, capsys.readouterr().out)
        assert len(sigstore.rekor.bodies) == count


def test_a_summary_of_failure_is_signed_too_and_says_so(
    sigstore: SigstoreInstance, files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *files, *signing, "--expect", "version=9.9.9"]) == 4
    payload = judged(sigstore, capsys.readouterr().out)
    assert json.loads(payload)["predicate"]["verificationResult"] == "FAILED"


@pytest.fixture
def signed(files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["compare", *files, *signing]) == 0
    return capsys.readouterr().out


def test_another_identity_or_issuer_is_refused(sigstore: SigstoreInstance, signed: str) -> None:
    with pytest.raises(VerificationError, match="SANs do not match"):
        judged(sigstore, signed, identity="mallory@example.org")
    with pytest.raises(VerificationError, match="OIDCIssuer does not match"):
        judged(sigstore, signed, issuer="https://accounts.example")


def test_an_altered_statement_is_refused(sigstore: SigstoreInstance, signed: str) -> None:
    document = json.loads(signed)
    payload = base64.b64decode(document["dsseEnvelope"]["payload"])
    altered = payload.replace(b"TWINPROOF_GENUINE", b"TWINPROOF_PERFECT")
    assert altered != payload
    document["dsseEnvelope"]["payload"] = base64.b64encode(altered).decode()
    with pytest.raises(VerificationError, match="invalid signature"):
        judged(sigstore, json.dumps(document))


def test_the_root_of_another_instance_is_refused(signed: str) -> None:
    other = SigstoreInstance()
    try:
        with pytest.raises(VerificationError, match="certificate chain"):
            judged(other, signed)
    finally:
        other.close()


def test_a_workflow_signs_with_its_own_identity(
    sigstore: SigstoreInstance,
    files: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sigstore.provider.job = {"sub": "repo:example/toy:ref:refs/tags/v1.2.0", "job_workflow_ref": WORKFLOW}
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{sigstore.provider.url}/token?api-version=2.0")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", sigstore.provider.job_secret)
    assert main(["compare", *files, *trusting(sigstore, tmp_path)]) == 0
    captured = capsys.readouterr()
    assert f"signed by https://github.com/{WORKFLOW}" in captured.err
    judged(sigstore, captured.out, identity=f"https://github.com/{WORKFLOW}")


def test_a_workflow_without_the_permission_is_told_which(
    sigstore: SigstoreInstance,
    files: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", raising=False)
    assert main(["compare", *files, *trusting(sigstore, tmp_path)]) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "id-token: write" in captured.err


def test_a_token_comes_from_a_variable_that_is_named(
    sigstore: SigstoreInstance,
    files: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("THE_TOKEN", sigstore.provider.token({"email": ALICE}))
    flags = [*files, *trusting(sigstore, tmp_path), "--sigstore-token-env"]
    assert main(["compare", *flags, "THE_TOKEN"]) == 0
    judged(sigstore, capsys.readouterr().out)
    assert main(["compare", *flags, "ANOTHER"]) == 2
    token = sigstore.provider.token({"email": ALICE})
    assert main(["compare", *flags, token]) == 2
    assert token not in capsys.readouterr().err


def test_without_a_token_nobody_signs(
    sigstore: SigstoreInstance, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *files, *trusting(sigstore, tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "nobody says who signs" in captured.err


@pytest.mark.parametrize(
    ("how", "reason"),
    [({"seconds": -60}, "ExpiredSignatureError"), ({"audience": "another"}, "InvalidAudienceError")],
    ids=["expired", "for another service"],
)
def test_a_token_that_signs_nothing_is_told_before_anything_is_asked(
    how: dict[str, int | str],
    reason: str,
    sigstore: SigstoreInstance,
    verifying: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    token_file(sigstore, Path(verifying[-1]).parent, **how)
    assert main(["verify", "http://127.0.0.1:9", *verifying[2:]]) == 2
    captured = capsys.readouterr()
    assert reason in captured.err
    assert Path(verifying[-1]).read_text(encoding="ascii").strip() not in captured.err


def test_a_token_that_others_can_read_is_refused(
    files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(signing[-1]).chmod(0o644)
    assert main(["compare", *files, *signing]) == 2
    assert "others can read this token" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "not a token", "a.b.c", "é", "x" * 70_000])
def test_what_is_no_token_is_refused_without_being_shown(
    text: str, files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(signing[-1]).write_text(text, encoding="utf-8")
    assert main(["compare", *files, *signing]) == 2
    error = capsys.readouterr().err
    assert "not a token" in error
    assert text not in {"a.b.c", "x" * 70_000} or text not in error


@pytest.mark.parametrize(
    "change",
    [
        ["--sigstore-public"],
        ["--sign-key", "key.pem"],
        ["--sigstore-token-env", "HOME"],
        ["--format", "text"],
        ["--json"],
    ],
    ids=" ".join,
)
def test_flags_that_exclude_each_other_are_refused(
    change: list[str], files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *files, *signing, *change]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("flag", ["--sigstore-token-file", "--sigstore-token-env"])
def test_a_token_alone_sends_nothing_anywhere(flag: str, files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *files, flag, "HOME"]) == 2
    assert "one signs" in capsys.readouterr().err


def test_commands_that_print_no_summary_sign_none(
    files: list[str], signing: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*files[2:-2], *signing]
    assert main(["watch", *files[:2], *flags, "--rounds", "1"]) == 2
    assert main(["verify", "--batch", str(tmp_path), *flags]) == 2
    assert capsys.readouterr().err.count("--sigstore-trust-config") == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"signingConfig": {}}', '{"signingConfig": {"caUrls": [{}]}}'])
def test_what_is_no_trust_configuration_is_refused(
    text: str, files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(signing[1]).write_text(text, encoding="ascii")
    assert main(["compare", *files, *signing]) == 2
    assert "--sigstore-trust-config" in capsys.readouterr().err


@pytest.mark.parametrize("service", ["caUrls", "rekorTlogUrls", "tsaUrls"])
def test_a_token_never_goes_over_an_open_network(
    service: str, files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(signing[1])
    document = json.loads(path.read_text(encoding="ascii"))
    document["signingConfig"][service] = [{"url": "http://fulcio.example", "majorApiVersion": 1, "operator": "x"}]
    path.write_text(json.dumps(document), encoding="ascii")
    assert main(["compare", *files, *signing]) == 2
    assert "TLS only" in capsys.readouterr().err


def another_root(sigstore: SigstoreInstance) -> None:
    other = SigstoreInstance()
    sigstore.fulcio.intermediate, sigstore.fulcio.root = other.fulcio.intermediate, other.fulcio.root
    other.close()


def a_certificate_that_no_known_log_promised(sigstore: SigstoreInstance) -> None:
    sigstore.fulcio.ct_key = new_key()


def a_certificate_by_another_issuer(sigstore: SigstoreInstance) -> None:
    certificate = sigstore.fulcio.certificate
    sigstore.fulcio.certificate = (  # type: ignore[method-assign]
        lambda key, claims: certificate(key, {**claims, "iss": "https://accounts.example"})
    )


def another_log(sigstore: SigstoreInstance) -> None:
    sigstore.rekor.key = new_key()


def an_entry_about_something_else(sigstore: SigstoreInstance) -> None:
    def entry(index: int) -> dict[str, object]:
        body = json.loads(sigstore.rekor.bodies[index])
        body["spec"]["payloadHash"]["value"] = "00" * 32
        sigstore.rekor.bodies[index] = json.dumps(body).encode()
        return Rekor.entry(sigstore.rekor, index)

    sigstore.rekor.entry = entry  # type: ignore[method-assign]


def an_entry_that_is_not_in_the_tree(sigstore: SigstoreInstance) -> None:
    checkpoint = sigstore.rekor.checkpoint
    sigstore.rekor.checkpoint = lambda leaves: checkpoint([*leaves, bytes(32)])  # type: ignore[method-assign]


def a_time_that_the_log_did_not_sign(sigstore: SigstoreInstance) -> None:
    sigstore.rekor.entry = lambda index: {  # type: ignore[method-assign]
        **(entry := Rekor.entry(sigstore.rekor, index)),
        "integratedTime": int(str(entry["integratedTime"])) + 1,
    }


def a_time_when_the_certificate_was_over(sigstore: SigstoreInstance) -> None:
    sigstore.rekor._clock = lambda: int(time.time()) + 3600


def no_log(sigstore: SigstoreInstance) -> None:
    sigstore.rekor.close()


def no_authority(sigstore: SigstoreInstance) -> None:
    sigstore.fulcio.close()


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (another_root, "chain: validation failed"),
        (a_certificate_that_no_known_log_promised, "SCT verify failed"),
        (a_certificate_by_another_issuer, "OIDCIssuerV2 does not match"),
        (another_log, "checkpoint: invalid signature"),
        (an_entry_about_something_else, "payload hash does not match"),
        (an_entry_that_is_not_in_the_tree, "invalid root hash"),
        (a_time_that_the_log_did_not_sign, "invalid inclusion promise"),
        (a_time_when_the_certificate_was_over, "chain: validation failed"),
        (no_log, "no answer"),
        (no_authority, "no answer"),
    ],
)
def test_what_does_not_verify_is_not_printed(
    lie: Callable[[SigstoreInstance], None],
    reason: str,
    sigstore: SigstoreInstance,
    verifying: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    lie(sigstore)
    assert main(verifying) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert reason in captured.err
    assert "signed by" not in captured.err


def replaced(signing: list[str], service: str, url: str) -> None:
    path = Path(signing[1])
    document = json.loads(path.read_text(encoding="ascii"))
    document["signingConfig"][service][0]["url"] = url
    path.write_text(json.dumps(document), encoding="ascii")


def test_an_authority_that_refuses_is_quoted(
    sigstore: SigstoreInstance, files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = SigstoreInstance()  # whose tokens this authority does not know
    Path(signing[-1]).write_text(other.provider.token({"email": ALICE}), encoding="ascii")
    other.close()
    assert main(["compare", *files, *signing]) == 5
    error = capsys.readouterr().err
    assert "status 401" in error
    assert "the identity token is not valid" in error


def test_a_token_that_an_instance_repeats_is_not_shown(
    files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def echo(request: Request) -> Answer:
        return Answer(json.dumps({"message": request.headers["authorization"]}).encode(), status=400)

    server = LoopbackServer(echo)
    try:
        replaced(signing, "caUrls", server.url)
        assert main(["compare", *files, *signing]) == 5
    finally:
        server.close()
    error = capsys.readouterr().err
    assert "status 400" in error
    assert Path(signing[-1]).read_text(encoding="ascii").strip().rpartition(".")[2] not in error


def test_no_proxy_sees_a_token_that_goes_to_loopback(
    verifying: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Request] = []

    def proxy(request: Request) -> Answer:
        seen.append(request)
        return Answer(b"{}", status=502)

    server = LoopbackServer(proxy)
    try:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, server.url)
        monkeypatch.setenv("no_proxy", "intranet.example")
        assert main(verifying) == 0
    finally:
        server.close()
    assert capsys.readouterr().out
    assert seen == []


def test_an_instance_behind_an_authority_of_ones_own_is_reached_with_the_ca_file(
    verifying: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = TlsIdentity.self_signed(tmp_path)
    authority = tmp_path / "authority.pem"
    authority.write_text(ssl.DER_cert_to_PEM_cert(identity.der), encoding="ascii")

    def refuse(connection: socket.socket, head: bytes) -> None:
        head, _, body = head.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        while len(body) < length:
            body += connection.recv(4096)
        connection.sendall(http_answer(b"{}", status="418 Reached"))

    with serving(refuse, identity) as url:
        replaced(verifying[-4:], "caUrls", url)
        assert main(verifying) == 5
        assert "SSLError" in capsys.readouterr().err
        assert main([*verifying, "--ca-file", str(authority)]) == 5
        assert "status 418" in capsys.readouterr().err


def test_an_instance_that_never_answers_ends_in_time(
    files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    over = Event()

    def never(_: Request) -> Answer:
        over.wait(20)
        return Answer(b"{}")

    server = LoopbackServer(never)
    try:
        replaced(signing, "rekorTlogUrls", server.url)
        assert main(["compare", *files, *signing, "--timeout", "0.1"]) == 5
    finally:
        over.set()
        server.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no answer" in captured.err


def test_without_evidence_there_is_nothing_to_sign(
    sigstore: SigstoreInstance, files: list[str], signing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*files[2:], *signing]
    assert main(["compare", "http://127.0.0.1:9", "http://127.0.0.1:9/other", *flags]) == 5
    assert capsys.readouterr().out == ""
    assert sigstore.rekor.bodies == []
