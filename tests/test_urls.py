"""URLs are checked before anything is asked, and no message repeats a secret in one."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import UsageError
from twinproof.urls import base_url, joined, masked, origin, place, split_url

SECRET = "hunter2hunter2hunter2hunter2"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "prod9",
        "prod9:443",
        "ftp://host",
        "file:///etc/passwd",
        "http://",
        "http://:80",
        "http://host:0",
        "http://host:99999",
        "http://host:port",
        "http://[::1",
        "http://h\u00f6st",
        "http://host/a b",
        "http://host/\n",
        "http://host\\@evil",
        "http://host/" + "a" * 3000,
    ],
)
def test_what_is_no_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError):
        split_url(url)


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@host/",
        f"https://{SECRET}@host/",
        f"https://user:{SECRET}@host:99999/",
        f"https://host:bad?token={SECRET}",
        f"ftp://host/?{SECRET}",
        f"ftp://host#{SECRET}",
        f"ftp://host/v3/{SECRET}",
        f"https://us\u00e9r:{SECRET}@host",
    ],
)
def test_a_refused_url_does_not_repeat_its_secret(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        split_url(url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "form",
    [
        "https://u:{}@h",
        "https://u:1/{}@h/",
        "http://h?{}",
        "http://h/?k={}",
        "http://h/#{}",
        "http://{}@h:1/x",
        "https://h/k/{}/",
    ],
)
def test_a_masked_url_holds_no_secret(form: str) -> None:
    assert SECRET not in masked(form.format(SECRET))


def test_a_masked_url_is_still_recognised() -> None:
    assert masked("https://prod9.example:8443/attestation?nonce=00") == "https://prod9.example:8443/attestation"
    assert (
        masked("https://certificates.example/IntelSGXRootCA.der") == "https://certificates.example/IntelSGXRootCA.der"
    )
    assert masked(f"https://{'ab' * 20}-8090.example/prpc/Worker.Info").startswith(f"https://{'ab' * 20}-8090.example/")


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_a_usage_error(text: str) -> None:
    for url in (text, f"http://{text}", f"http://h/{text}"):
        masked(url)
        try:
            origin(url)
        except UsageError:
            continue
        assert url.isascii()


@given(st.text(max_size=60))
def test_any_redirect_is_a_url_or_a_usage_error(target: str) -> None:
    with contextlib.suppress(UsageError):
        assert split_url(joined("https://host:8443/x", target))


@pytest.mark.parametrize("url", ["https://host/?x", "https://host/#x", "https://host?"])
def test_a_path_cannot_be_appended_to_a_query(url: str) -> None:
    with pytest.raises(UsageError, match="query or a fragment"):
        base_url(url)


def test_the_usual_port_is_the_same_host() -> None:
    assert origin("https://Host/") == origin("https://host:443/x") != origin("http://host:443/")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://host.example.", "https://HOST.example:443/x"),
        ("http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080"),
        ("http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]"),
    ],
)
def test_one_place_has_one_spelling(one: str, other: str) -> None:
    assert place(one) == place(other)
