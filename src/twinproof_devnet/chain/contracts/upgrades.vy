# pragma version ~=0.4.3
# UUPS (ERC-1822 behind ERC-1967) and one-time initialisation. Errors are those of OpenZeppelin 5.

event Upgraded:
    implementation: indexed(address)

event Initialized:
    version: uint64

IMPLEMENTATION_SLOT: constant(bytes32) = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc
MAX_DATA: constant(uint256) = 4096

UPGRADE_INTERFACE_VERSION: public(constant(String[5])) = "5.0.0"
SELF: immutable(address)

implementation: address
initialized: uint64


@deploy
def __init__():
    SELF = self
    self.initialized = max_value(uint64)  # the implementation itself has no owner, ever
    log Initialized(version=max_value(uint64))


@internal
@view
def _only_once():
    if self.initialized != 0:
        raw_revert(method_id("InvalidInitialization()"))


@internal
def _done():
    self.initialized = 1
    log Initialized(version=1)


@external
@view
def proxiableUUID() -> bytes32:
    if self != SELF:
        raw_revert(method_id("UUPSUnauthorizedCallContext()"))
    return IMPLEMENTATION_SLOT


@internal
@view
def _only_proxy():
    if self == SELF or self.implementation != SELF:
        raw_revert(method_id("UUPSUnauthorizedCallContext()"))


@internal
@payable
def _upgrade(new_implementation: address, data: Bytes[MAX_DATA]):
    assert new_implementation.is_contract
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        new_implementation,
        method_id("proxiableUUID()"),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(answer) != 32:
        raw_revert(abi_encode(new_implementation, method_id=method_id("ERC1967InvalidImplementation(address)")))
    slot: bytes32 = convert(answer, bytes32)
    if slot != IMPLEMENTATION_SLOT:
        raw_revert(abi_encode(slot, method_id=method_id("UUPSUnsupportedProxiableUUID(bytes32)")))
    self.implementation = new_implementation
    log Upgraded(implementation=new_implementation)
    if len(data) > 0:
        raw_call(new_implementation, data, is_delegate_call=True)
    elif msg.value > 0:
        raw_revert(method_id("ERC1967NonPayable()"))
