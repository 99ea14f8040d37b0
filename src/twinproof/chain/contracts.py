"""The functions of DstackApp and DstackKms, in all generations, and of what they inherit.

An older proxy keeps the code of its creation: `version`, `requireTcbUpToDate` and `pendingOwner` may be missing, and
the implementation's getter was called `appAuthImplementation`. Source: Dstack-TEE/dstack, dstack/kms/auth-eth.
"""

from __future__ import annotations

from twinproof.chain.abi import Function

__all__ = [
    "ACCEPT_OWNERSHIP",
    "ADD_COMPOSE_HASH",
    "ADD_DEVICE",
    "ADD_OS_IMAGE_HASH",
    "ALLOWED_COMPOSE_HASHES",
    "ALLOWED_DEVICE_IDS",
    "ALLOWED_OS_IMAGES",
    "ALLOW_ANY_DEVICE",
    "APP_AUTH_IMPLEMENTATION",
    "APP_IMPLEMENTATION",
    "BOOT_INFO",
    "DEPLOY_AND_REGISTER_APP",
    "DEPLOY_AND_REGISTER_APP_WITH_TCB",
    "DISABLE_UPGRADES",
    "GATEWAY_APP_ID",
    "IS_APP_ALLOWED",
    "KMS_ALLOWED_AGGREGATED_MRS",
    "KMS_ALLOWED_DEVICE_IDS",
    "KMS_INFO",
    "OWNER",
    "PENDING_OWNER",
    "REGISTERED_APPS",
    "REMOVE_COMPOSE_HASH",
    "REMOVE_DEVICE",
    "REQUIRE_TCB_UP_TO_DATE",
    "SET_ALLOW_ANY_DEVICE",
    "SET_REQUIRE_TCB_UP_TO_DATE",
    "SUPPORTS_INTERFACE",
    "TRANSFER_OWNERSHIP",
    "VERSION",
]

_FLAG, _ADDRESS, _HASH = ("bool",), ("address",), ("bytes32",)
BOOT_INFO = "(address,bytes32,address,bytes32,bytes32,bytes32,bytes32,string,string[])"
"""AppBootInfo: appId, composeHash, instanceId, deviceId, mrAggregated, mrSystem, osImageHash, tcbStatus and
advisoryIds."""

# Both.
OWNER = Function("owner", (), _ADDRESS)
PENDING_OWNER = Function("pendingOwner", (), _ADDRESS)
SUPPORTS_INTERFACE = Function("supportsInterface", ("bytes4",), _FLAG)
IS_APP_ALLOWED = Function("isAppAllowed", (BOOT_INFO,), ("bool", "string"))
TRANSFER_OWNERSHIP = Function("transferOwnership", _ADDRESS)
ACCEPT_OWNERSHIP = Function("acceptOwnership")

# DstackApp.
ALLOWED_COMPOSE_HASHES = Function("allowedComposeHashes", _HASH, _FLAG)
ALLOWED_DEVICE_IDS = Function("allowedDeviceIds", _HASH, _FLAG)
ALLOW_ANY_DEVICE = Function("allowAnyDevice", (), _FLAG)
REQUIRE_TCB_UP_TO_DATE = Function("requireTcbUpToDate", (), _FLAG)
VERSION = Function("version", (), ("uint256",))
ADD_COMPOSE_HASH = Function("addComposeHash", _HASH)
REMOVE_COMPOSE_HASH = Function("removeComposeHash", _HASH)
ADD_DEVICE = Function("addDevice", _HASH)
REMOVE_DEVICE = Function("removeDevice", _HASH)
SET_ALLOW_ANY_DEVICE = Function("setAllowAnyDevice", _FLAG)
SET_REQUIRE_TCB_UP_TO_DATE = Function("setRequireTcbUpToDate", _FLAG)
DISABLE_UPGRADES = Function("disableUpgrades")

# DstackKms.
DEPLOY_AND_REGISTER_APP = Function("deployAndRegisterApp", ("address", "bool", "bool", "bytes32", "bytes32"), _ADDRESS)
"""owner, disableUpgrades, allowAnyDevice, deviceId, composeHash; absent only between 366efcfb and 7bf5bfb8."""
DEPLOY_AND_REGISTER_APP_WITH_TCB = Function(
    "deployAndRegisterApp", ("address", "bool", "bool", "bool", "bytes32", "bytes32"), _ADDRESS
)
"""owner, disableUpgrades, requireTcbUpToDate, allowAnyDevice, deviceId, composeHash; from bfeaa5b5 on."""
REGISTERED_APPS = Function("registeredApps", _ADDRESS, _FLAG)
ALLOWED_OS_IMAGES = Function("allowedOsImages", _HASH, _FLAG)
KMS_ALLOWED_AGGREGATED_MRS = Function("kmsAllowedAggregatedMrs", _HASH, _FLAG)
KMS_ALLOWED_DEVICE_IDS = Function("kmsAllowedDeviceIds", _HASH, _FLAG)
APP_IMPLEMENTATION = Function("appImplementation", (), _ADDRESS)
APP_AUTH_IMPLEMENTATION = Function("appAuthImplementation", (), _ADDRESS)
"""The name of `appImplementation` in bb84ddd2."""
GATEWAY_APP_ID = Function("gatewayAppId", (), ("string",))
KMS_INFO = Function("kmsInfo", (), ("bytes", "bytes", "bytes", "bytes"))
"""k256Pubkey, caPubkey, quote, eventlog."""
ADD_OS_IMAGE_HASH = Function("addOsImageHash", _HASH)
