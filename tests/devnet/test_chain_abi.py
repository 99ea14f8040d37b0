"""Every selector and topic of dstack's contracts is in the compiled ones, generation by generation."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak

from twinproof_devnet.chain.compiler import artifacts, source_of
from twinproof_devnet.chain.generations import Generation

BOTH = """
4f1ef286 upgradeToAndCall(address,bytes)
f2fde38b transferOwnership(address)
715018a6 renounceOwnership()
8da5cb5b owner()
01ffc9a7 supportsInterface(bytes4)
52d1902d proxiableUUID()
ad3cb1cc UPGRADE_INTERFACE_VERSION()
1e079198 isAppAllowed((address,bytes32,address,bytes32,bytes32,bytes32,bytes32,string,string[]))
"""
APP = """
187515ca initialize(address,bool,bool,bytes32,bytes32)
dfc77223 addComposeHash(bytes32)
67b3f22c removeComposeHash(bytes32)
2a819728 addDevice(bytes32)
1d266200 removeDevice(bytes32)
7c4beeb8 setAllowAnyDevice(bool)
ec669036 disableUpgrades()
2f6622e5 allowedComposeHashes(bytes32)
bf8b211b allowedDeviceIds(bytes32)
3440a16a allowAnyDevice()
"""
APP_TCB = """
6e4c7422 setRequireTcbUpToDate(bool)
0aa58c83 requireTcbUpToDate()
54fd4d50 version()
"""
TWO_STEP = """
79ba5097 acceptOwnership()
e30c3978 pendingOwner()
"""
KMS = """
485cc955 initialize(address,address)
8618169d deployAndRegisterApp(address,bool,bool,bytes32,bytes32)
17a1d80f registerApp(address)
3ceaaa11 setAppImplementation(address)
7d025352 setKmsInfo((bytes,bytes,bytes,bytes))
18c1ecb2 setKmsQuote(bytes)
736ede7a setKmsEventlog(bytes)
3971db27 setGatewayAppId(string)
3e32d346 addKmsAggregatedMr(bytes32)
2adee48d removeKmsAggregatedMr(bytes32)
4d5922a1 addKmsDevice(bytes32)
9e6f3114 removeKmsDevice(bytes32)
06a3ae96 addOsImageHash(bytes32)
9425bac6 removeOsImageHash(bytes32)
e067ec9d isKmsAllowed((address,bytes32,address,bytes32,bytes32,bytes32,bytes32,string,string[]))
a6c4cce9 registeredApps(address)
9a4e1d18 allowedOsImages(bytes32)
f6fe4f40 kmsAllowedAggregatedMrs(bytes32)
13eb9770 kmsAllowedDeviceIds(bytes32)
25a992da appImplementation()
95f51931 gatewayAppId()
09177063 kmsInfo()
"""
BY_SELECTOR = """
9ed28193 initialize(address,bool,bool,bool,bytes32,bytes32)
9cb9c31f deployAndRegisterApp(address,bool,bool,bool,bytes32,bytes32)
"""
"""In no ABI of ours: the compiler has no overloads. They are tried where contracts run."""
EVENTS_BOTH = """
bc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b Upgraded(address indexed)
c7f505b2f371ae2175ee4913f4499e1f2633a7b5936321eed1cdaeb6115181d2 Initialized(uint64)
8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0 OwnershipTransferred(address indexed,address indexed)
"""
EVENTS_APP = """
fecb34306dd9d8b785b54d65489d06afc8822a0893ddacedff40c50a4942d0af ComposeHashAdded(bytes32)
755b79bd4b0eeab344d032284a99003b2ddc018b646752ac72d681593a6e8947 ComposeHashRemoved(bytes32)
67fc71ab96fe3fa3c6f78e9a00e635d591b7333ce611c0380bc577aac702243b DeviceAdded(bytes32)
e0862975ac517b0478d308012afabc4bc37c23874a18144d7f2dfb852ff95c2c DeviceRemoved(bytes32)
bb2cdb6c7b362202d40373f87bc4788301cca658f91711ac1662e1ad2cba4a20 AllowAnyDeviceSet(bool)
0e5daa943fcd7e7182d0e893d180695c2ea9f6f1b4a1c5432faf14cf17b774e8 UpgradesDisabled()
"""
EVENTS_TCB = "afae60561b2481a349b45b3a47357f70eef6ae67e5b6e1749d74de7f19a25aa1 RequireTcbUpToDateSet(bool)"
EVENTS_AUDITED = """
341d3bc64e32172fc5bcf27b0f7f69dc5adc19af64b7aa1dee361e5883c32375 \
PolicyChanged(address indexed,bytes32 indexed,bytes32 indexed,bool)
38d16b8cac22d99fc7c124b9cd0de2d3fa1faef420bfe791d8c362d765e22700 \
OwnershipTransferStarted(address indexed,address indexed)
"""
EVENTS_KMS = """
0d540ad8f39e07d19909687352b9fa017405d93c91a6760981fbae9cf28bfef7 AppRegistered(address)
fd86d7f6962eba3b7a3bf9129c06c0b2f885e1c61ef2c9f0dbb856be0deefdee AppDeployedViaFactory(address indexed,address indexed)
08bb433f12b5fd81d2d5e0deeb3b4d28371781ddbd80e9d053e7468d2b1aa82d AppImplementationSet(address)
4911843506849c85a5ca6e6e2c01eed2d3ab86baba619517a2aad9d5ab2aeff2 OsImageHashAdded(bytes32)
99b3cee95daf3138d0c982299cd0264f5b7a61aa629b42b92f3ec8966aa7f6fe OsImageHashRemoved(bytes32)
68615a0b92795750b3d180ff73429e1291d225e449eee954a567b91104fd9837 KmsAggregatedMrAdded(bytes32)
54cd662e41eec7ddf0f32f034b2533e481b471dd3ea978222d609ec8fffb1bb0 KmsAggregatedMrRemoved(bytes32)
f2b290637b1193e12eb38ab32b986303639b1687cc2cd1e25f993e6eae2f4041 KmsDeviceAdded(bytes32)
1a9888a45e3df8b7e6bb3090747d598d2a0d78e61388161a90799f54df8f4434 KmsDeviceRemoved(bytes32)
77cdad119a452bbd96c45635758fc4af8a6bde3deaccf3fada634ddf9a162706 KmsInfoSet(bytes)
5b2b64f770ea5266055ebd3ebf205ef06cbfa738e62684edf0e28356e34acf06 GatewayAppIdSet(string)
"""
NEWEST = {"dstack_app": APP + APP_TCB, "dstack_kms": KMS}
NEWEST_EVENTS = {"dstack_app": EVENTS_APP + EVENTS_TCB, "dstack_kms": EVENTS_KMS}
GONE = {
    Generation.FIRST: APP_TCB + TWO_STEP,
    Generation.TCB: TWO_STEP,
    Generation.AUDITED: "",
}


def table(text: str) -> dict[str, str]:
    rows = (line.partition(" ") for line in text.splitlines() if line)
    return {signature: digits for digits, _, signature in rows}


def types(parameters: object, *, indexed: bool = False) -> str:
    assert isinstance(parameters, list)
    return ",".join(type_of(item) + (" indexed" if indexed and item.get("indexed") else "") for item in parameters)


def type_of(parameter: dict[str, object]) -> str:
    text = str(parameter["type"])
    return text.replace("tuple", f"({types(parameter['components'])})") if text.startswith("tuple") else text


def signatures(name: str, generation: Generation, kind: str) -> dict[str, str]:
    found = {}
    for entry in artifacts(generation)[name].abi:
        if entry["type"] == kind:
            plain = f"{entry['name']}({types(entry['inputs'])})"
            digest = keccak(plain.encode()).hex()
            shown = f"{entry['name']}({types(entry['inputs'], indexed=True)})"
            found[shown if kind == "event" else plain] = digest if kind == "event" else digest[:8]
    return found


@pytest.mark.parametrize("name", ["dstack_app", "dstack_kms"])
@pytest.mark.parametrize("generation", Generation)
def test_functions_are_exactly_those_of_the_generation(name: str, generation: Generation) -> None:
    expected = table(BOTH + NEWEST[name] + TWO_STEP)
    for signature in table(GONE[generation]):
        expected.pop(signature, None)
    assert signatures(name, generation, "function") == expected


@pytest.mark.parametrize("name", ["dstack_app", "dstack_kms"])
@pytest.mark.parametrize("generation", Generation)
def test_events_are_exactly_those_of_the_generation(name: str, generation: Generation) -> None:
    expected = table(EVENTS_BOTH + NEWEST_EVENTS[name] + (EVENTS_AUDITED if generation is Generation.AUDITED else ""))
    if generation is Generation.FIRST:
        expected.pop("RequireTcbUpToDateSet(bool)", None)
    assert signatures(name, generation, "event") == expected


@pytest.mark.parametrize(("signature", "digits"), table(BY_SELECTOR).items())
def test_overloads_are_found_by_their_selector(signature: str, digits: str) -> None:
    assert keccak(signature.encode()).hex()[:8] == digits
    sources = {generation: source_of("dstack_app", generation) for generation in Generation}
    sources = {generation: text + source_of("dstack_kms", generation) for generation, text in sources.items()}
    assert [signature in text for text in sources.values()] == [False, True, True]


def test_interface_ids_are_those_that_the_contracts_claim() -> None:
    management = 0
    for name in ("addComposeHash", "removeComposeHash", "addDevice", "removeDevice"):
        management ^= int(table(APP)[f"{name}(bytes32)"], 16)
    assert f"0x{management:08x}" == "0x8fd37527"
    assert "0x8fd37527" in source_of("dstack_app", Generation.AUDITED)
    assert "0x8fd37527" not in source_of("dstack_kms", Generation.AUDITED)
