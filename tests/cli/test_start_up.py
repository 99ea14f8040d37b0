"""What a command loads: a verification of a file starts without anything that it does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from small_files import root_file
from small_instance import Instance
from twinproof.evidence.bundle import bundle_to_json

LOADED = "import sys; from twinproof.cli.main import main; code = main(); print(*sys.modules); sys.exit(code)"
NOT_FOR_A_BUNDLE = {
    "twinproof.dstack.attestation",
    "twinproof.dstack.get_quote",
    "twinproof.dstack.guest_info",
    "twinproof.dstack.ra_tls",
    "twinproof.comparison",
    "twinproof.sources.http",
    "twinproof.cli.archive_options",
    "twinproof.cli.deploy_options",
    "twinproof.cli.release_options",
    "msgpack",
    "ssl",
    "urllib3",
    "uuid",
}


def test_a_bundle_is_verified_without_the_readers_of_other_evidence_and_without_a_network(tmp_path: Path) -> None:
    bundle, root = tmp_path / "bundle.json", root_file(tmp_path)
    bundle.write_text(bundle_to_json(Instance().evidence()), encoding="ascii")
    done = subprocess.run(
        [sys.executable, "-c", LOADED, "verify", str(bundle), "--trust-root", str(root)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        timeout=60,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "twinproof.dcap.verify" in loaded
    assert not loaded & NOT_FOR_A_BUNDLE
