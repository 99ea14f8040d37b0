# pragma version ~=0.4.3
# The KMS's rules: which apps, guest images and KMS machines; the factory of apps. ABI and storage of dstack's DstackKms.

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

MAX_BYTES: constant(uint256) = 8192
WORDS: constant(uint256) = 256
MAX_DATA: constant(uint256) = 4096

struct KmsInfo:
    k256Pubkey: Bytes[MAX_BYTES]
    caPubkey: Bytes[MAX_BYTES]
    quote: Bytes[MAX_BYTES]
    eventlog: Bytes[MAX_BYTES]

interface AppAuth:
    def isAppAllowed(bootInfo: AppBootInfo) -> (bool, String[256]): view

event AppRegistered:
    appId: address

event KmsInfoSet:
    k256Pubkey: Bytes[MAX_BYTES]

event KmsAggregatedMrAdded:
    mrAggregated: bytes32

event KmsAggregatedMrRemoved:
    mrAggregated: bytes32

event KmsDeviceAdded:
    deviceId: bytes32

event KmsDeviceRemoved:
    deviceId: bytes32

event OsImageHashAdded:
    osImageHash: bytes32

event OsImageHashRemoved:
    osImageHash: bytes32

event GatewayAppIdSet:
    gatewayAppId: String[MAX_BYTES]

event AppImplementationSet:
    implementation: address

event AppDeployedViaFactory:
    appId: indexed(address)
    deployer: indexed(address)

# `bytes` and `string` as Solidity stores them: the length in the variable's own slot (with short values beside it),
# the words of longer ones from keccak256(slot) on, where layout.py puts these arrays.
k256_head: uint256
k256_words: bytes32[WORDS]
ca_head: uint256
ca_words: bytes32[WORDS]
quote_head: uint256
quote_words: bytes32[WORDS]
eventlog_head: uint256
eventlog_words: bytes32[WORDS]
gateway_head: uint256
gateway_words: bytes32[WORDS]

registeredApps: public(HashMap[address, bool])
kmsAllowedAggregatedMrs: public(HashMap[bytes32, bool])
kmsAllowedDeviceIds: public(HashMap[bytes32, bool])
allowedOsImages: public(HashMap[bytes32, bool])
appImplementation: public(address)

PROXY: immutable(address)


@deploy
def __init__(proxy_blueprint: address):
    upgrades.__init__()
    PROXY = proxy_blueprint


@external
def initialize(initialOwner: address, appImplementation_: address):
    upgrades._only_once()
    ownership._first_owner(initialOwner)
    if appImplementation_ != empty(address):
        self._set_app_implementation(appImplementation_)
    upgrades._done()


@internal
@pure
def _head(data: Bytes[MAX_BYTES]) -> uint256:
    size: uint256 = len(data)
    if size > 31:
        return 2 * size + 1
    return convert(extract32(concat(data, empty(bytes32)), 0), uint256) | (2 * size)


@internal
@pure
def _words(data: Bytes[MAX_BYTES]) -> DynArray[bytes32, WORDS]:
    words: DynArray[bytes32, WORDS] = []
    if len(data) > 31:
        padded: Bytes[MAX_BYTES + 32] = concat(data, empty(bytes32))
        for i: uint256 in range((len(data) + 31) // 32, bound=WORDS):
            words.append(extract32(padded, 32 * i))
    return words


@internal
@pure
def _size(head: uint256) -> uint256:
    return (head - 1) // 2 if head & 1 == 1 else (head & 255) // 2


@internal
@pure
def _in_words(head: uint256) -> uint256:
    return (self._size(head) + 31) // 32 if head & 1 == 1 else 0


@internal
@pure
def _join(head: uint256, words: DynArray[bytes32, WORDS]) -> Bytes[MAX_BYTES]:
    if head & 1 == 0:
        return slice(convert(head, bytes32), 0, self._size(head))
    encoded: Bytes[MAX_BYTES + 64] = abi_encode(words)  # offset, count, words
    return convert(slice(encoded, 64, self._size(head)), Bytes[MAX_BYTES])


@internal
@view
def _k256() -> Bytes[MAX_BYTES]:
    words: DynArray[bytes32, WORDS] = []
    for i: uint256 in range(self._in_words(self.k256_head), bound=WORDS):
        words.append(self.k256_words[i])
    return self._join(self.k256_head, words)


@internal
@view
def _ca() -> Bytes[MAX_BYTES]:
    words: DynArray[bytes32, WORDS] = []
    for i: uint256 in range(self._in_words(self.ca_head), bound=WORDS):
        words.append(self.ca_words[i])
    return self._join(self.ca_head, words)


@internal
@view
def _quote() -> Bytes[MAX_BYTES]:
    words: DynArray[bytes32, WORDS] = []
    for i: uint256 in range(self._in_words(self.quote_head), bound=WORDS):
        words.append(self.quote_words[i])
    return self._join(self.quote_head, words)


@internal
@view
def _eventlog() -> Bytes[MAX_BYTES]:
    words: DynArray[bytes32, WORDS] = []
    for i: uint256 in range(self._in_words(self.eventlog_head), bound=WORDS):
        words.append(self.eventlog_words[i])
    return self._join(self.eventlog_head, words)


@internal
def _set_quote(data: Bytes[MAX_BYTES]):
    words: DynArray[bytes32, WORDS] = self._words(data)
    for i: uint256 in range(max(len(words), self._in_words(self.quote_head)), bound=WORDS):
        self.quote_words[i] = words[i] if i < len(words) else empty(bytes32)
    self.quote_head = self._head(data)


@internal
def _set_eventlog(data: Bytes[MAX_BYTES]):
    words: DynArray[bytes32, WORDS] = self._words(data)
    for i: uint256 in range(max(len(words), self._in_words(self.eventlog_head)), bound=WORDS):
        self.eventlog_words[i] = words[i] if i < len(words) else empty(bytes32)
    self.eventlog_head = self._head(data)


@external
@view
def kmsInfo() -> (Bytes[MAX_BYTES], Bytes[MAX_BYTES], Bytes[MAX_BYTES], Bytes[MAX_BYTES]):
    return self._k256(), self._ca(), self._quote(), self._eventlog()


@external
def setKmsInfo(info: KmsInfo):
    ownership._only_owner()
    words: DynArray[bytes32, WORDS] = self._words(info.k256Pubkey)
    for i: uint256 in range(max(len(words), self._in_words(self.k256_head)), bound=WORDS):
        self.k256_words[i] = words[i] if i < len(words) else empty(bytes32)
    self.k256_head = self._head(info.k256Pubkey)
    words = self._words(info.caPubkey)
    for i: uint256 in range(max(len(words), self._in_words(self.ca_head)), bound=WORDS):
        self.ca_words[i] = words[i] if i < len(words) else empty(bytes32)
    self.ca_head = self._head(info.caPubkey)
    self._set_quote(info.quote)
    self._set_eventlog(info.eventlog)
    log KmsInfoSet(k256Pubkey=info.k256Pubkey)
    policy._changed(keccak256("kms-info"), keccak256(info.k256Pubkey), True)


@external
def setKmsQuote(quote: Bytes[MAX_BYTES]):
    ownership._only_owner()
    self._set_quote(quote)


@external
def setKmsEventlog(eventlog: Bytes[MAX_BYTES]):
    ownership._only_owner()
    self._set_eventlog(eventlog)


@external
@view
def gatewayAppId() -> String[MAX_BYTES]:
    words: DynArray[bytes32, WORDS] = []
    for i: uint256 in range(self._in_words(self.gateway_head), bound=WORDS):
        words.append(self.gateway_words[i])
    return convert(self._join(self.gateway_head, words), String[MAX_BYTES])


@external
def setGatewayAppId(appId: String[MAX_BYTES]):
    ownership._only_owner()
    data: Bytes[MAX_BYTES] = convert(appId, Bytes[MAX_BYTES])
    words: DynArray[bytes32, WORDS] = self._words(data)
    for i: uint256 in range(max(len(words), self._in_words(self.gateway_head)), bound=WORDS):
        self.gateway_words[i] = words[i] if i < len(words) else empty(bytes32)
    self.gateway_head = self._head(data)
    log GatewayAppIdSet(gatewayAppId=appId)
    policy._changed(keccak256("gateway-app-id"), keccak256(data), True)


@internal
def _register(app_id: address):
    assert app_id != empty(address), "Invalid app ID"
    self.registeredApps[app_id] = True
    log AppRegistered(appId=app_id)
    policy._changed(keccak256("registered-app"), convert(app_id, bytes32), True)


@external
def registerApp(appId: address):
    self._register(appId)


@internal
def _set_app_implementation(implementation: address):
    self.appImplementation = implementation
    log AppImplementationSet(implementation=implementation)
    policy._changed(keccak256("app-implementation"), convert(implementation, bytes32), True)


@external
def setAppImplementation(implementation: address):
    ownership._only_owner()
    assert implementation != empty(address), "Invalid implementation address"
    self._set_app_implementation(implementation)


@internal
def _deploy(owner_: address, data: Bytes[MAX_DATA]) -> address:
    assert self.appImplementation != empty(address), "DstackApp implementation not set"
    assert owner_ != empty(address), "Invalid owner address"
    app_id: address = create_from_blueprint(PROXY, self.appImplementation, data)
    self._register(app_id)
    log AppDeployedViaFactory(appId=app_id, deployer=msg.sender)
    return app_id


@external
def deployAndRegisterApp(
    initialOwner: address,
    disableUpgrades: bool,
    allowAnyDevice: bool,
    initialDeviceId: bytes32,
    initialComposeHash: bytes32,
) -> address:
    data: Bytes[MAX_DATA] = abi_encode(
        initialOwner,
        disableUpgrades,
        allowAnyDevice,
        initialDeviceId,
        initialComposeHash,
        method_id=method_id("initialize(address,bool,bool,bytes32,bytes32)"),
    )
    return self._deploy(initialOwner, data)


#: tcb
# Vyper has no overloads: the form with six arguments is found by its selector.
@external
@raw_return
def __default__() -> Bytes[32]:
    assert slice(msg.data, 0, 4) == method_id("deployAndRegisterApp(address,bool,bool,bool,bytes32,bytes32)")
    arguments: Bytes[192] = slice(msg.data, 4, 192)
    owner_: address = empty(address)
    no_upgrades: bool = False
    require_tcb: bool = False
    any_device: bool = False
    device_id: bytes32 = empty(bytes32)
    compose_hash: bytes32 = empty(bytes32)
    owner_, no_upgrades, require_tcb, any_device, device_id, compose_hash = abi_decode(
        arguments, (address, bool, bool, bool, bytes32, bytes32)
    )
    data: Bytes[MAX_DATA] = concat(method_id("initialize(address,bool,bool,bool,bytes32,bytes32)"), arguments)
    return abi_encode(self._deploy(owner_, data))
#: end


@external
def addKmsAggregatedMr(mrAggregated: bytes32):
    ownership._only_owner()
    self.kmsAllowedAggregatedMrs[mrAggregated] = True
    log KmsAggregatedMrAdded(mrAggregated=mrAggregated)
    policy._changed(keccak256("kms-aggregated-mr"), mrAggregated, True)


@external
def removeKmsAggregatedMr(mrAggregated: bytes32):
    ownership._only_owner()
    self.kmsAllowedAggregatedMrs[mrAggregated] = False
    log KmsAggregatedMrRemoved(mrAggregated=mrAggregated)
    policy._changed(keccak256("kms-aggregated-mr"), mrAggregated, False)


@external
def addKmsDevice(deviceId: bytes32):
    ownership._only_owner()
    self.kmsAllowedDeviceIds[deviceId] = True
    log KmsDeviceAdded(deviceId=deviceId)
    policy._changed(keccak256("kms-device"), deviceId, True)


@external
def removeKmsDevice(deviceId: bytes32):
    ownership._only_owner()
    self.kmsAllowedDeviceIds[deviceId] = False
    log KmsDeviceRemoved(deviceId=deviceId)
    policy._changed(keccak256("kms-device"), deviceId, False)


@external
def addOsImageHash(osImageHash: bytes32):
    ownership._only_owner()
    self.allowedOsImages[osImageHash] = True
    log OsImageHashAdded(osImageHash=osImageHash)
    policy._changed(keccak256("os-image"), osImageHash, True)


@external
def removeOsImageHash(osImageHash: bytes32):
    ownership._only_owner()
    self.allowedOsImages[osImageHash] = False
    log OsImageHashRemoved(osImageHash=osImageHash)
    policy._changed(keccak256("os-image"), osImageHash, False)


@external
@payable
def upgradeToAndCall(newImplementation: address, data: Bytes[MAX_DATA]):
    upgrades._only_proxy()
    ownership._only_owner()
    policy._changed(keccak256("implementation-upgrade"), convert(newImplementation, bytes32), True)
    upgrades._upgrade(newImplementation, data)


@external
@view
def isAppAllowed(bootInfo: AppBootInfo) -> (bool, String[256]):
    if not self.registeredApps[bootInfo.appId]:
        return False, "App not registered"
    if not self.allowedOsImages[bootInfo.osImageHash]:
        return False, "OS image is not allowed"
    if not bootInfo.appId.is_contract:
        return False, "App not deployed or invalid address"
    return staticcall AppAuth(bootInfo.appId).isAppAllowed(bootInfo)


@external
@view
def isKmsAllowed(bootInfo: AppBootInfo) -> (bool, String[64]):
    if bootInfo.tcbStatus != "UpToDate":
        return False, "TCB status is not up to date"
    if not self.allowedOsImages[bootInfo.osImageHash]:
        return False, "OS image is not allowed"
    if not self.kmsAllowedAggregatedMrs[bootInfo.mrAggregated]:
        return False, "Aggregated MR not allowed"
    if not self.kmsAllowedDeviceIds[bootInfo.deviceId]:
        return False, "KMS is not allowed to boot on this device"
    return True, ""


@external
@pure
def supportsInterface(interfaceId: bytes4) -> bool:
    return interfaceId in [0x01ffc9a7, 0x1e079198]  # ERC-165, IAppAuth
