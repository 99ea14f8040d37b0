"""The cache saves questions. It never adds an error, never mixes services, and never outlives its documents."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.dcap.collateral import Collateral
from twinproof.errors import Unavailable
from twinproof.sources import clock
from twinproof.sources.cache import CollateralCache, Kept
from twinproof.sources.http import HttpClient
from twinproof.sources.pcs import CollateralSource
from twinproof_devnet.collateral import Documents, make
from twinproof_devnet.machine import FMSPC
from twinproof_devnet.pki import Pki

NOW = clock.now()
HOUR, DAY = 3600, 86_400
PKI = Pki.create(NOW)
FIRST = Collateral.from_json(json.dumps(make(PKI, NOW)))
SECOND = Collateral.from_json(json.dumps(make(PKI, NOW)))
KEY = ("https://pcs.example", "https://pcs.example/crl", "TDX", "DE5E7A000000", "platform")


class Service(CollateralSource):
    """A source whose service is a list of outcomes."""

    def __init__(self, *outcomes: Collateral | Exception, cache: CollateralCache, base_url: str | None = None) -> None:
        super().__init__(HttpClient(), cache=cache, base_url=base_url)
        self.outcomes = list(outcomes)

    def _fetch(self, *_: object) -> Collateral:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def at(self, at: int, fmspc: bytes = FMSPC) -> Collateral:
        return self.fetch(fmspc, "platform", "TDX", at=at)


def in_memory() -> CollateralCache:
    return CollateralCache(None)


@pytest.fixture(params=["memory", "disk"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> CollateralCache:
    return CollateralCache(None if request.param == "memory" else tmp_path / "cache")


def test_a_fresh_set_is_not_asked_for_again(cache: CollateralCache) -> None:
    service = Service(FIRST, cache=cache)
    assert service.at(NOW) is FIRST
    assert service.at(NOW + 14 * DAY) == FIRST


def test_another_process_finds_what_the_first_one_kept(tmp_path: Path) -> None:
    Service(FIRST, cache=CollateralCache(tmp_path)).at(NOW)
    assert Service(cache=CollateralCache(tmp_path)).at(NOW) == FIRST


def test_after_half_its_life_a_set_is_asked_for_anew(cache: CollateralCache) -> None:
    service = Service(FIRST, SECOND, cache=cache)
    service.at(NOW)
    assert service.at(NOW + 16 * DAY) is SECOND


def test_a_set_that_is_still_current_serves_while_the_service_is_down(cache: CollateralCache) -> None:
    service = Service(FIRST, Unavailable("down"), cache=cache)
    service.at(NOW)
    assert service.at(NOW + 29 * DAY) == FIRST


@pytest.mark.parametrize("at", [NOW + 30 * DAY, NOW - 2 * HOUR], ids=["after", "before"])
def test_a_set_outside_its_window_is_never_served(cache: CollateralCache, at: int) -> None:
    service = Service(FIRST, Unavailable("down"), cache=cache)
    service.at(NOW)
    with pytest.raises(Unavailable, match="down"):
        service.at(at)


@pytest.mark.parametrize("name", ["root_ca_crl", "pck_crl", "tcb_info", "qe_identity"])
def test_the_document_that_ends_first_decides(name: str) -> None:
    """Also when that is a CRL, whose end is not in the JSON documents."""
    old = make(PKI, NOW - 25 * DAY, documents=Documents.at(NOW - 25 * DAY))
    if name == "root_ca_crl":  # that list lives a year
        old = make(PKI, NOW - 360 * DAY)
    mixed = {**make(PKI, NOW), name: old[name]}
    kept = Kept.of(Collateral.from_json(json.dumps(mixed)), NOW)
    whole = Kept.of(FIRST, NOW)
    assert kept.end < whole.end
    assert kept.usable(kept.end - 1)
    assert not kept.usable(kept.end)


def test_a_set_that_says_it_lives_for_ever_is_kept_for_a_month_at_most() -> None:
    """Dates are read before any signature is: an intermediary can write what it likes into them."""
    members = make(PKI, NOW)
    for name in ("tcb_info", "qe_identity"):
        members[name] = json.dumps({**json.loads(members[name]), "nextUpdate": "9999-12-31T23:59:59Z"})
    list_of_nobody = make(PKI, NOW)["root_ca_crl"]  # it lives a year
    kept = Kept.of(Collateral.from_json(json.dumps({**members, "pck_crl": list_of_nobody})), NOW)
    assert kept.end <= NOW + 32 * DAY
    assert not kept.fresh(NOW + 17 * DAY)


def test_an_error_is_not_remembered(cache: CollateralCache) -> None:
    service = Service(Unavailable("down"), FIRST, cache=cache)
    with pytest.raises(Unavailable):
        service.at(NOW)
    assert service.at(NOW) is FIRST


def test_services_do_not_mix(cache: CollateralCache) -> None:
    Service(FIRST, cache=cache, base_url="https://pccs.example").at(NOW)
    assert Service(SECOND, cache=cache).at(NOW) is SECOND
    assert Service(cache=cache, base_url="https://pccs.example").at(NOW) == FIRST


def test_a_set_about_another_platform_is_not_kept_for_this_one(cache: CollateralCache) -> None:
    service = Service(FIRST, SECOND, cache=cache)
    other = bytes(6)
    assert service.at(NOW, other) is FIRST  # the verifier will refuse it
    assert service.at(NOW, other) is SECOND


def test_a_set_that_cannot_be_read_is_not_kept(cache: CollateralCache) -> None:
    members = {**make(PKI, NOW), "pck_crl": "3000"}
    broken = Collateral.from_json(json.dumps(members))
    service = Service(broken, FIRST, cache=cache)
    assert service.at(NOW) is broken
    assert service.at(NOW) is FIRST


def kept_file(directory: Path) -> Path:
    CollateralCache(directory).put(KEY, FIRST, fetched_at=NOW)
    (file,) = directory.iterdir()
    return file


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"key": [], "fetched_at": 1, "collateral": {}}',
        b'{"fetched_at": 1, "fetched_at": 2}',
    ],
)
def test_a_broken_file_is_no_file(tmp_path: Path, content: bytes) -> None:
    kept_file(tmp_path).write_bytes(content)
    assert CollateralCache(tmp_path).get(KEY) is None
    service = Service(SECOND, cache=CollateralCache(tmp_path))
    assert service.at(NOW) is SECOND


@given(st.integers(0, 20_000))
def test_a_file_cut_off_anywhere_is_no_file(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    directory = tmp_path_factory.mktemp("cache")
    file = kept_file(directory)
    content = file.read_bytes()
    file.write_bytes(content[: size % len(content)])
    assert CollateralCache(directory).get(KEY) is None


def test_a_file_that_was_moved_to_another_keys_name_is_no_file(tmp_path: Path) -> None:
    source = kept_file(tmp_path)
    content = source.read_bytes()
    source.unlink()
    other = ("https://other.example", *KEY[1:])
    CollateralCache(tmp_path).put(other, FIRST, fetched_at=NOW)
    (target,) = tmp_path.iterdir()
    target.write_bytes(content)
    assert CollateralCache(tmp_path).get(other) is None


def test_only_the_user_can_read_and_write_it(tmp_path: Path) -> None:
    directory = tmp_path / "home" / ".cache" / "twinproof" / "collateral"
    file = kept_file(directory)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (directory, directory.parent, directory.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_is_no_error(tmp_path: Path) -> None:
    """A file stands where the directory should: as good as read-only, also for a user who may write anywhere."""
    (tmp_path / "file").write_text("")
    service = Service(FIRST, cache=CollateralCache(tmp_path / "file" / "cache"))
    assert service.at(NOW) is FIRST
    service = Service(SECOND, cache=CollateralCache(tmp_path / "file"))
    assert service.at(NOW) is SECOND


@pytest.mark.parametrize("home", [None, "", "relative/home"])
def test_without_a_home_there_is_no_file(home: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    assert Service(FIRST, cache=CollateralCache.default()).at(NOW) is FIRST
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("xdg", "expected"), [("{}/xdg", "xdg/twinproof/collateral"), ("not/absolute", ".cache/twinproof/collateral")]
)
def test_it_is_where_caches_belong(xdg: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", xdg.format(tmp_path))
    Service(FIRST, cache=CollateralCache.default()).at(NOW)
    assert len(list((tmp_path / expected).iterdir())) == 1


def test_memory_is_bounded() -> None:
    cache = in_memory()
    for number in range(200):
        cache.put((str(number),), FIRST, fetched_at=NOW)
    assert len(cache._memory) <= 64
