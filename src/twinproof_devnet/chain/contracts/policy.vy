# pragma version ~=0.4.3
# The audit event of every change by an owner. Generations before it leave it out.

#: policy
event PolicyChanged:
    actor: indexed(address)
    policy: indexed(bytes32)
    value: indexed(bytes32)
    enabled: bool
#: end


@internal
def _changed(subject: bytes32, what: bytes32, enabled: bool):
    #: policy
    log PolicyChanged(actor=msg.sender, policy=subject, value=what, enabled=enabled)
    #: end
    pass
