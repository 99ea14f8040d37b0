"""This verifier's side of the protocol: exit codes and texts of the argv form, requests and answers of the stream."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulated import AT, members, pki, quote
from twinproof.conformance import command
from twinproof.conformance.stream import answers
from twinproof_devnet.collateral import make


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    contents = {
        "quote": quote(),
        "collateral": json.dumps(members()).encode(),
        "root": pki().root.der,
        "revoked": json.dumps(make(pki(), AT, revoked_ca=[pki().platform_ca.serial])).encode(),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return {name: str(tmp_path / name) for name in contents}


def test_what_is_accepted_ends_with_0_and_names_the_status(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["verify", files["quote"], files["collateral"], files["root"], "--at", str(AT)]) == 0
    assert capsys.readouterr().out == "Verification successful\nStatus: UpToDate\n"


def test_what_is_refused_ends_with_1_and_names_the_check(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["verify", files["quote"], files["revoked"], files["root"], "--at", str(AT)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Verification failed: ")
    assert captured.err.endswith("Stage: dcap.root_crl\n")


def test_without_a_time_it_is_now(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for at, code in ((AT, 0), (AT + 90 * 86_400, 1)):
        monkeypatch.setattr(command, "now", lambda at=at: at)
        assert command.main(["verify", files["quote"], files["collateral"], files["root"]]) == code
    assert "has expired" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["quote", "collateral", "root"])
def test_a_file_that_cannot_be_opened_ends_with_2(
    files: dict[str, str], missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given_files = files | {missing: "/nowhere/file"}
    arguments = [given_files[name] for name in ("quote", "collateral", "root")]
    assert command.main(["verify", *arguments, "--at", str(AT)]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["verify"], ["verify", "a"], ["nothing"], ["verify", "a", "b", "c", "--at"], ["verify", "a", "b", "c", "--x"]],
)
def test_a_command_that_cannot_be_meant_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2


def test_a_root_that_is_no_certificate_or_a_time_that_is_none_ends_with_2(files: dict[str, str]) -> None:
    assert command.main(["verify", files["quote"], files["collateral"], files["quote"]]) == 2
    arguments = ["verify", files["quote"], files["collateral"], files["root"], "--at", "yesterday"]
    assert command.main(arguments) == 2


def asked(*requests: dict[str, Any] | bytes) -> list[dict[str, Any]]:
    lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in requests]
    return [json.loads(line) for line in answers(lines)]


def test_requests_are_answered_in_order_by_path_or_by_content(files: dict[str, str]) -> None:
    by_path = {"kind": "quote", "at": AT, **{name: files[name] for name in ("quote", "collateral", "root")}}
    by_content = {
        "kind": "quote",
        "at": AT,
        **{
            name: {"base64": base64.b64encode(Path(files[name]).read_bytes()).decode()}
            for name in ("quote", "collateral", "root")
        },
    }
    revoked = by_path | {"collateral": files["revoked"]}
    got = asked(by_path | {"id": 1}, by_content | {"id": "two"}, revoked | {"id": [3]}, b"\n", by_path)
    assert [answer["id"] for answer in got] == [1, "two", [3], None]
    assert [answer["verdict"] for answer in got] == ["accept", "accept", "refuse", "accept"]
    assert got[0]["tcb_status"] == "UpToDate"
    assert got[2]["stage"] == "dcap.root_crl"


@pytest.mark.parametrize(
    "change",
    [{"at": -1}, {"at": "now"}, {"kind": "proof"}, {"quote": {"base64": "?"}}, {"quote": "/nowhere"}, {"root": 7}],
    ids=repr,
)
def test_a_request_that_cannot_be_read_is_an_error_and_the_next_is_answered(
    files: dict[str, str], change: dict[str, Any]
) -> None:
    good = {"id": 1, "kind": "quote", "at": AT, **{name: files[name] for name in ("quote", "collateral", "root")}}
    wrong, right = asked(good | change, good)
    assert (wrong["id"], wrong["verdict"]) == (1, "error")
    assert right["verdict"] == "accept"


@given(st.binary(max_size=200))
def test_any_line_gets_an_answer(line: bytes) -> None:
    line = line.replace(b"\n", b" ")
    for answer in answers([line]):
        assert json.loads(answer)["verdict"] == "error"


def test_the_stream_speaks_on_standard_input_and_output(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = {"id": 1, "kind": "quote", "at": AT, **{name: files[name] for name in ("quote", "collateral", "root")}}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(request).encode())))
    assert command.main(["stream"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "accept"


def test_the_command_line_of_twinproof_never_loads_it() -> None:
    code = (
        "import sys, twinproof.cli.main as m; m.build_parser(); print([n for n in sys.modules if 'conformance' in n])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
