# pragma version ~=0.4.3
# One app's log: which compose hashes and which machines may get its keys. ABI and storage of dstack's DstackApp.

import ownership
import policy
import upgrades

initializes: ownership
initializes: upgrades

exports: ownership.__interface__
exports: (upgrades.UPGRADE_INTERFACE_VERSION, upgrades.proxiableUUID)

struct AppBootInfo:
    appId: address
    composeHash: bytes32
    instanceId: address
    deviceId: bytes32
    mrAggregated: bytes32
    mrSystem: bytes32
    osImageHash: bytes32
    tcbStatus: String[64]
    advisoryIds: DynArray[String[64], 32]

event ComposeHashAdded:
    composeHash: bytes32

event ComposeHashRemoved:
    composeHash: bytes32

event DeviceAdded:
    deviceId: bytes32

event DeviceRemoved:
    deviceId: bytes32

event AllowAnyDeviceSet:
    allowAny: bool

#: tcb
event RequireTcbUpToDateSet:
    requireUpToDate: bool
#: end

event UpgradesDisabled:
    pass

NO_UPGRADES: constant(uint256) = 1  # byte 0 of the word
ANY_DEVICE: constant(uint256) = 256  # byte 1
MAX_DATA: constant(uint256) = 4096

allowedComposeHashes: public(HashMap[bytes32, bool])
flags: uint256
allowedDeviceIds: public(HashMap[bytes32, bool])
#: tcb
requireTcbUpToDate: public(bool)
#: end


@deploy
def __init__():
    upgrades.__init__()


@internal
def _initialize(owner_: address, no_upgrades: bool, any_device: bool, device_id: bytes32, compose_hash: bytes32):
    upgrades._only_once()
    assert owner_ != empty(address), "invalid owner address"
    if no_upgrades:
        self.flags |= NO_UPGRADES
    if any_device:
        self.flags |= ANY_DEVICE
    if device_id != empty(bytes32):
        self._add_device(device_id)
    if compose_hash != empty(bytes32):
        self._add_compose_hash(compose_hash)
    ownership._first_owner(owner_)
    upgrades._done()


@external
def initialize(
    initialOwner: address,
    disableUpgrades_: bool,
    allowAnyDevice_: bool,
    initialDeviceId: bytes32,
    initialComposeHash: bytes32,
):
    self._initialize(initialOwner, disableUpgrades_, allowAnyDevice_, initialDeviceId, initialComposeHash)


#: tcb
# Vyper has no overloads: the form with six arguments is found by its selector.
@external
def __default__():
    assert slice(msg.data, 0, 4) == method_id("initialize(address,bool,bool,bool,bytes32,bytes32)")
    owner_: address = empty(address)
    no_upgrades: bool = False
    require_tcb: bool = False
    any_device: bool = False
    device_id: bytes32 = empty(bytes32)
    compose_hash: bytes32 = empty(bytes32)
    owner_, no_upgrades, require_tcb, any_device, device_id, compose_hash = abi_decode(
        slice(msg.data, 4, 192), (address, bool, bool, bool, bytes32, bytes32)
    )
    upgrades._only_once()
    self.requireTcbUpToDate = require_tcb
    self._initialize(owner_, no_upgrades, any_device, device_id, compose_hash)
#: end


@internal
def _add_compose_hash(compose_hash: bytes32):
    self.allowedComposeHashes[compose_hash] = True
    log ComposeHashAdded(composeHash=compose_hash)
    policy._changed(keccak256("compose-hash"), compose_hash, True)


@internal
def _add_device(device_id: bytes32):
    self.allowedDeviceIds[device_id] = True
    log DeviceAdded(deviceId=device_id)
    policy._changed(keccak256("device"), device_id, True)


@external
def addComposeHash(composeHash: bytes32):
    ownership._only_owner()
    self._add_compose_hash(composeHash)


@external
def removeComposeHash(composeHash: bytes32):
    ownership._only_owner()
    self.allowedComposeHashes[composeHash] = False
    log ComposeHashRemoved(composeHash=composeHash)
    policy._changed(keccak256("compose-hash"), composeHash, False)


@external
def addDevice(deviceId: bytes32):
    ownership._only_owner()
    self._add_device(deviceId)


@external
def removeDevice(deviceId: bytes32):
    ownership._only_owner()
    self.allowedDeviceIds[deviceId] = False
    log DeviceRemoved(deviceId=deviceId)
    policy._changed(keccak256("device"), deviceId, False)


@external
@view
def allowAnyDevice() -> bool:
    return self.flags & ANY_DEVICE != 0


@external
def setAllowAnyDevice(allowAny: bool):
    ownership._only_owner()
    if allowAny:
        self.flags |= ANY_DEVICE
    else:
        self.flags &= ~ANY_DEVICE
    log AllowAnyDeviceSet(allowAny=allowAny)
    policy._changed(keccak256("allow-any-device"), empty(bytes32), allowAny)


#: tcb
@external
def setRequireTcbUpToDate(requireUpToDate: bool):
    ownership._only_owner()
    self.requireTcbUpToDate = requireUpToDate
    log RequireTcbUpToDateSet(requireUpToDate=requireUpToDate)
    policy._changed(keccak256("require-tcb-up-to-date"), empty(bytes32), requireUpToDate)


@external
@pure
def version() -> uint256:
    return 2
#: end


@external
def disableUpgrades():
    ownership._only_owner()
    self.flags |= NO_UPGRADES
    log UpgradesDisabled()
    policy._changed(keccak256("upgrades-disabled"), empty(bytes32), True)


@external
@payable
def upgradeToAndCall(newImplementation: address, data: Bytes[MAX_DATA]):
    upgrades._only_proxy()
    ownership._only_owner()
    assert self.flags & NO_UPGRADES == 0, "Upgrades are permanently disabled"
    policy._changed(keccak256("implementation-upgrade"), convert(newImplementation, bytes32), True)
    upgrades._upgrade(newImplementation, data)


@external
@view
def isAppAllowed(bootInfo: AppBootInfo) -> (bool, String[32]):
    #: tcb
    if self.requireTcbUpToDate and bootInfo.tcbStatus != "UpToDate":
        return False, "TCB status is not up to date"
    #: end
    if not self.allowedComposeHashes[bootInfo.composeHash]:
        return False, "Compose hash not allowed"
    if self.flags & ANY_DEVICE == 0 and not self.allowedDeviceIds[bootInfo.deviceId]:
        return False, "Device not allowed"
    return True, ""


@external
@pure
def supportsInterface(interfaceId: bytes4) -> bool:
    return interfaceId in [0x01ffc9a7, 0x1e079198, 0x8fd37527]  # ERC-165, IAppAuth, IAppAuthBasicManagement
