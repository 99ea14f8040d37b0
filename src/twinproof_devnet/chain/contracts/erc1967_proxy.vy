# pragma version ~=0.4.3
# An ERC-1967 proxy: the state is here, the code elsewhere.

event Upgraded:
    implementation: indexed(address)

MAX_DATA: constant(uint256) = 4096
MAX_ANSWER: constant(uint256) = 24576

implementation: address


@deploy
@payable
def __init__(implementation_: address, data: Bytes[MAX_DATA]):
    if not implementation_.is_contract:
        raw_revert(abi_encode(implementation_, method_id=method_id("ERC1967InvalidImplementation(address)")))
    self.implementation = implementation_
    log Upgraded(implementation=implementation_)
    if len(data) > 0:
        raw_call(implementation_, data, is_delegate_call=True)
    elif msg.value > 0:
        raw_revert(method_id("ERC1967NonPayable()"))


@external
@payable
@raw_return
def __default__() -> Bytes[MAX_ANSWER]:
    return raw_call(self.implementation, msg.data, max_outsize=MAX_ANSWER, is_delegate_call=True)
