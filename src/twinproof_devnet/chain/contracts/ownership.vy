# pragma version ~=0.4.3
# One owner, handed over in two steps or, in older generations, at once. Errors are those of OpenZeppelin 5.

event OwnershipTransferred:
    previousOwner: indexed(address)
    newOwner: indexed(address)

#: two-step
event OwnershipTransferStarted:
    previousOwner: indexed(address)
    newOwner: indexed(address)
#: end

owner: public(address)
#: two-step
pendingOwner: public(address)
#: end


@internal
@view
def _only_owner():
    if msg.sender != self.owner:
        raw_revert(abi_encode(msg.sender, method_id=method_id("OwnableUnauthorizedAccount(address)")))


@internal
def _hand_over(new_owner: address):
    #: two-step
    self.pendingOwner = empty(address)
    #: end
    previous: address = self.owner
    self.owner = new_owner
    log OwnershipTransferred(previousOwner=previous, newOwner=new_owner)


@internal
def _first_owner(new_owner: address):
    if new_owner == empty(address):
        raw_revert(abi_encode(new_owner, method_id=method_id("OwnableInvalidOwner(address)")))
    self._hand_over(new_owner)


@external
def transferOwnership(newOwner: address):
    self._only_owner()
    #: two-step
    self.pendingOwner = newOwner
    log OwnershipTransferStarted(previousOwner=self.owner, newOwner=newOwner)
    #: end
    #: one-step
    self._first_owner(newOwner)
    #: end


#: two-step
@external
def acceptOwnership():
    if msg.sender != self.pendingOwner:
        raw_revert(abi_encode(msg.sender, method_id=method_id("OwnableUnauthorizedAccount(address)")))
    self._hand_over(msg.sender)
#: end


@external
def renounceOwnership():
    self._only_owner()
    self._hand_over(empty(address))
