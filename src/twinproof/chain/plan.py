"""The steps of the third question, was it allowed in public?, in the order in which they run."""

from __future__ import annotations

from twinproof.verdict import Question, Step

__all__ = ["NOT_ASKED", "PLAN", "STORED"]

NOT_ASKED = "no chain was asked (--chain)"
STORED = "read from a file: that these endpoints agreed is the word of whoever made it"


def _step(name: str, title: str, why: str, source: str) -> Step:
    return Step(f"chain.{name}", title, why, source, Question.WANTED)


PLAN = (
    _step(
        "network",
        "what was read is of the expected chain and KMS contract",
        "anybody can start a chain, or deploy a KMS contract, that allows anything",
        "EIP-155; policy: chain_id, kms_contract",
    ),
    _step(
        "header",
        "the block's header hashes to the block hash that was agreed on",
        "a made-up header could name any state",
        "Ethereum yellow paper, 4.4",
    ),
    _step(
        "agreement",
        "enough endpoints agree on the block's hash",
        "one endpoint can show one reader a chain of its own",
        "policy: chain_endpoints",
    ),
    _step(
        "finality",
        "the block is final",
        "a block that is not final can be undone, and what it allowed with it",
        "ethereum/execution-apis: block tag finalized; OP Stack specification",
    ),
    _step(
        "recent",
        "the block is recent",
        "an old block still allows what was removed since",
        "policy: max_chain_age_seconds",
    ),
    _step(
        "state_proof",
        "the state that was read is the block's",
        "an endpoint can answer what it likes; only a proof ties its answer to the block",
        "EIP-1186; Ethereum yellow paper, appendix D",
    ),
    _step(
        "implementation",
        "the app's contract runs code whose storage is known",
        "other code can keep other things in the same slots, or answer differently to the KMS",
        "ERC-1967; Dstack-TEE/dstack: DstackKms.appImplementation",
    ),
    _step(
        "factory",
        "the KMS's own factory made the app's contract",
        "a contract of another kind can keep a proxy's slots, write its events, and answer the KMS as it likes",
        "Dstack-TEE/dstack: DstackKms.AppDeployedViaFactory; policy: app_proxies",
    ),
    _step(
        "app",
        "the app id is a contract, and registered at the KMS",
        "the KMS asks the app's contract; without one nothing decides in public who gets the app's keys",
        "Dstack-TEE/dstack: DstackKms.registeredApps",
    ),
    _step(
        "compose_hash",
        "the app's contract allows the attested compose hash",
        "code that nobody allowed in public may be running",
        "Dstack-TEE/dstack: DstackApp.allowedComposeHashes",
    ),
    _step(
        "log",
        "the log that allowed it stands in the block and the place it is said to",
        "a wrong block or transaction would date a version falsely, or lead a reader to another one",
        "Ethereum yellow paper, 4.4.1; Dstack-TEE/dstack: ComposeHashAdded",
    ),
    _step(
        "device",
        "the app's contract allows this machine, or any",
        "the app's keys may be handed to a machine nobody chose",
        "Dstack-TEE/dstack: DstackApp.allowedDeviceIds, allowAnyDevice",
    ),
    _step(
        "os_image",
        "the KMS allows the OS image",
        "an image that the KMS withdrew, or never allowed, may be running",
        "Dstack-TEE/dstack: DstackKms.allowedOsImages",
    ),
    _step(
        "key_provider",
        "the keys come from this KMS",
        "another KMS obeys another contract, or none",
        "Dstack-TEE/dstack: DstackKms.kmsInfo, caPubkey",
    ),
    _step(
        "kms_code",
        "the KMS's contract runs code that is known",
        "whoever may replace the code of the KMS's contract decides what it registers, allows and logs",
        "ERC-1967; policy: kms_implementations",
    ),
)
