"""The functions of DstackApp and DstackKms that are asked or called, in all generations, and of what they inherit.

An older proxy keeps the code of its creation: `version`, `requireTcbUpToDate` and `pendingOwner` may be missing.
Source: Dstack-TEE/dstack, dstack/kms/auth-eth.
"""

from __future__ import annotations

from twinproof.chain.abi import Function

__all__ = [
    "ADD_COMPOSE_HASH",
    "ADD_DEVICE",
    "ALLOWED_COMPOSE_HASHES",
    "ALLOWED_DEVICE_IDS",
    "ALLOWED_OS_IMAGES",
    "ALLOW_ANY_DEVICE",
    "APP_IMPLEMENTATION",
    "DEPLOY_AND_REGISTER_APP",
    "DEPLOY_AND_REGISTER_APP_WITH_TCB",
    "GATEWAY_APP_ID",
    "KMS_INFO",
    "OWNER",
    "PENDING_OWNER",
    "REGISTERED_APPS",
    "REQUIRE_TCB_UP_TO_DATE",
    "VERSION",
]

_FLAG, _ADDRESS, _HASH = ("bool",), ("address",), ("bytes32",)

# Both.
OWNER = Function("owner", (), _ADDRESS)
PENDING_OWNER = Function("pendingOwner", (), _ADDRESS)

# DstackApp.
ALLOWED_COMPOSE_HASHES = Function("allowedComposeHashes", _HASH, _FLAG)
ALLOWED_DEVICE_IDS = Function("allowedDeviceIds", _HASH, _FLAG)
ALLOW_ANY_DEVICE = Function("allowAnyDevice", (), _FLAG)
REQUIRE_TCB_UP_TO_DATE = Function("requireTcbUpToDate", (), _FLAG)
VERSION = Function("version", (), ("uint256",))
ADD_COMPOSE_HASH = Function("addComposeHash", _HASH)
ADD_DEVICE = Function("addDevice", _HASH)

# DstackKms.
DEPLOY_AND_REGISTER_APP = Function("deployAndRegisterApp", ("address", "bool", "bool", "bytes32", "bytes32"), _ADDRESS)
"""owner, disableUpgrades, allowAnyDevice, deviceId, composeHash; absent only between 366efcfb and 7bf5bfb8."""
DEPLOY_AND_REGISTER_APP_WITH_TCB = Function(
    "deployAndRegisterApp", ("address", "bool", "bool", "bool", "bytes32", "bytes32"), _ADDRESS
)
"""owner, disableUpgrades, requireTcbUpToDate, allowAnyDevice, deviceId, composeHash; from bfeaa5b5 on."""
REGISTERED_APPS = Function("registeredApps", _ADDRESS, _FLAG)
ALLOWED_OS_IMAGES = Function("allowedOsImages", _HASH, _FLAG)
APP_IMPLEMENTATION = Function("appImplementation", (), _ADDRESS)
GATEWAY_APP_ID = Function("gatewayAppId", (), ("string",))
KMS_INFO = Function("kmsInfo", (), ("bytes", "bytes", "bytes", "bytes"))
"""k256Pubkey, caPubkey, quote, eventlog."""
