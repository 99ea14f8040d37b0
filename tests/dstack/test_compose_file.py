"""Every way to name code in a compose file that a reader could miss: found, or said to be unreadable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.dstack.compose_file import scan_compose_file

DIGEST = "sha256:" + "ab" * 32
PINNED = f"registry.example/app@{DIGEST}"


def images(text: str) -> list[str]:
    found = scan_compose_file(text)
    assert found.doubts == []
    return [image.value for image in found.images]


def test_an_image_by_digest_is_pinned() -> None:
    found = scan_compose_file(f"services:\n  app:\n    image: {PINNED}\n")
    assert [(image.line, image.pinned) for image in found.images] == [(3, True)]
    assert found.doubts == []


@pytest.mark.parametrize(
    "value",
    [
        "app",
        "app:latest",
        "app@sha256:abcd",
        f"app@{DIGEST.upper()}",
        f"app@{DIGEST}:x",
        f"app@{DIGEST}0",
        f"app@sha512:{'ab' * 64}",
        f"@{DIGEST}",
    ],
)
def test_an_image_by_anything_else_is_not(value: str) -> None:
    found = scan_compose_file(f"services:\n  app:\n    image: {value!r}\n")
    assert [image.pinned for image in found.images] == [False]


@pytest.mark.parametrize(
    "line",
    [
        "image: app:1",
        'image: "app:1"',
        "image: 'app:1'",
        "image:    app:1   # the app",
        "image : app:1",
        '"image": app:1',
        "'image': app:1",
        "- image: app:1",
        "- - image: app:1",
        "image: &base app:1",
    ],
)
def test_an_image_is_found_however_the_line_is_written(line: str) -> None:
    assert images(f"services:\n  app:\n    {line}\n") == ["app:1"]


@pytest.mark.parametrize(
    "text",
    [
        "image: *base",
        "image: !!str app:1",
        "image:",
        "image:\n  app:1",
        "image: >-\n  app:1",
        "image: |\n  app:1",
        'image: "app\\x3a1"',
        'image: "app',
        "image: [app]",
        "app: {image: 'app:1'}",
        "app: &a {image: 'app:1'}",
        "- {image: 'app:1'}",
        "x: [&a {image: 'app:1'}]",
        "x: [\n  a\n]",
        "? image\n: app:1",
        '"im\\x61ge": app:1',
        "!!str image: app:1",
        "&key image: app:1",
        "a: &key image\n*key : app:1",
        "image:\tapp:1",
        "\timage: app:1",
        "a: b\x85image: app:1",
        "a: b\u2028image: app:1",
        "a: b\rimage: app:1",
        "a: b\x00",
        "\ufeffimage: app:1",
        "a: |2\n  image: app:1",
        "a: 'one\n  two'\n",
        "%TAG ! x\n---\nimage: app:1",
        "a: 1\n---\nimage: app:1",
        "a: `b`",
        "a: @b",
        '{"services": {"app": {"image": "app:1"}',
        '{"image": "a", "image": "b"}',
        "a:\n  b: 1\n",
        "",
    ],
)
def test_what_the_scanner_cannot_vouch_for_is_a_doubt_and_never_silence(text: str) -> None:
    found = scan_compose_file(text)
    assert found.doubts
    assert not any(image.pinned for image in found.images)


def test_a_doubt_names_its_line() -> None:
    assert scan_compose_file(f"services:\n  app:\n    image: {PINNED}\n    x: {{a: b}}\n").doubts[0][0] == 4
    assert scan_compose_file("a: 1\nb: 2\x85").doubts[0][0] == 2


def test_a_block_text_is_not_searched_for_images_but_ends_where_yaml_ends_it() -> None:
    text = """services:
  one:
    image: one:1
    command: |
      image: not-an-image

      more: {x}
    entrypoint: >-  # folded
      'unfinished
  two:
    image: two:1"""
    assert images(text) == ["one:1", "two:1"]


def test_a_key_that_looks_like_the_end_of_a_block_text_is_read() -> None:
    assert images("a: |\n  x\nimage: evil:1\n") == ["evil:1"]


def test_anchors_and_merges_hide_nothing_because_their_text_is_read_where_it_stands() -> None:
    assert images("x-base: &base\n  image: base:1\nservices:\n  app:\n    <<: *base\n") == ["base:1"]


def test_ordinary_compose_lines_raise_no_doubt() -> None:
    text = f"""---
services:
  app:
    image: {PINNED}
    ports:
      - "8080:8080"
      - 9090:9090
    environment:
      - KEY=value
      - URL=http://host:80/x
      MODE: "on"
    command: ["serve", "--port", "80", '${{PORT}}']
    healthcheck: {{}}
    volumes: []
    deploy:
      resources:
        limits: {{}}
    restart: unless-stopped  # always
# end
"""
    assert images(text) == [PINNED]


def test_windows_line_endings_are_the_same_text() -> None:
    assert images("services:\r\n  app:\r\n    image: app:1\r\n") == ["app:1"]


def test_variables_are_listed_and_escaped_dollars_are_not() -> None:
    found = scan_compose_file("services:\n  app:\n    image: app:${TAG:-1}\n    command: $$HOME ${B} $C ${B}\n")
    assert found.variables == ("B", "C", "TAG")
    assert found.images[0].variables == ("TAG",)
    assert not found.images[0].pinned


def test_a_digest_from_a_variable_pins_nothing() -> None:
    found = scan_compose_file("services:\n  app:\n    image: app@sha256:${DIGEST}\n")
    assert found.images[0].variables == ("DIGEST",)
    assert not found.images[0].pinned


@pytest.mark.parametrize("key", ["include", "extends", "env_file", "provider"])
def test_other_files_and_providers_are_named(key: str) -> None:
    assert scan_compose_file(f"services:\n  app:\n    image: {PINNED}\n    {key}: other.yml\n").elsewhere == [
        f"line 4: {key}"
    ]


def test_builds_are_named() -> None:
    assert scan_compose_file("services:\n  app:\n    build: .\n").builds == [3]


@pytest.mark.parametrize(
    "line",
    [
        "privileged: true",
        "privileged: 'yes'",
        "- /var/run/docker.sock:/var/run/docker.sock",
        "- /run/containerd/containerd.sock:/c.sock",
        "- /:/host",
        '- "/:/host:ro"',
        "- /var/run:/run",
        "- /run/:/run",
        "source: /",
    ],
)
def test_what_gives_a_container_the_whole_guest_is_named(line: str) -> None:
    assert scan_compose_file(f"services:\n  app:\n    image: {PINNED}\n    {line}\n").privileges


@pytest.mark.parametrize(
    "line",
    [
        "privileged: false",
        "- /var/run/dstack.sock:/var/run/dstack.sock",
        "- data:/data",
        "- ./x/:/x",
        "source: /data",
        "- http://a/:/b",
    ],
)
def test_ordinary_mounts_are_not(line: str) -> None:
    assert scan_compose_file(f"services:\n  app:\n    image: {PINNED}\n    {line}\n").privileges == []


def test_a_compose_file_in_json_is_read_as_json() -> None:
    text = (
        '{"services": {"a": {"image": "a:1", "privileged": true}, "b": {"build": {"context": "."}}, "c": {"image": 1}}}'
    )
    found = scan_compose_file(text)
    assert [image.value for image in found.images] == ["a:1", "1"]
    assert found.builds == [1]
    assert found.privileges == ["line 1: privileged"]


@given(st.text(max_size=300))
def test_no_text_makes_the_scanner_fail(text: str) -> None:
    found = scan_compose_file(text)
    assert found.images or found.builds or found.elsewhere or found.doubts


@given(st.lists(st.sampled_from("image: \n\t-'\"{}[]&*!|>#?$ab:1\\,"), max_size=60).map("".join))
def test_no_yaml_like_text_makes_it_fail(text: str) -> None:
    scan_compose_file(text)


@pytest.mark.parametrize(
    "text",
    ["a" + " " * 300_000 + "b", "x: [" + '"\\"' * 100_000, "x: [" + "'" * 200_001, "${" * 200_000, "a: " * 200_000],
)
def test_a_hostile_line_does_not_take_for_ever(text: str) -> None:
    scan_compose_file(text)
