# pragma version ~=0.4.3
# The one call of Multicall3 that clients use.

struct Call3:
    target: address
    allowFailure: bool
    callData: Bytes[2048]

struct Result:
    success: bool
    returnData: Bytes[2048]

MAX_CALLS: constant(uint256) = 32


@external
@payable
def aggregate3(calls: DynArray[Call3, MAX_CALLS]) -> DynArray[Result, MAX_CALLS]:
    results: DynArray[Result, MAX_CALLS] = []
    for call: Call3 in calls:
        success: bool = False
        answer: Bytes[2048] = b""
        success, answer = raw_call(call.target, call.callData, max_outsize=2048, revert_on_failure=False)
        assert success or call.allowFailure, "Multicall3: call failed"
        results.append(Result(success=success, returnData=answer))
    return results
