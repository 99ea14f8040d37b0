// Was it allowed in public? The state and the log behind `chain.*`, proved against the block's hash. That endpoints agree
// on this hash, that the block is final, and which contract is meant, no browser can know without a network.

const ADDED = "fecb34306dd9d8b785b54d65489d06afc8822a0893ddacedff40c50a4942d0af";
const PROXY_SLOT = "360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";
const NO_CODE = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
const AGREED = "that endpoints agree on this block and call it final is the word of whoever made this file";
const NO_PROOF = "no proof is inside: the word of one endpoint";

function unhex0x(text) {
  hold(typeof text === "string" && text.startsWith("0x"), "not hex text with 0x");
  return unhex(text.slice(2));
}

// The members that are needed here, by their places (Ethereum yellow paper, 4.4).
function blockHeader(block) {
  const raw = unhex0x(block.header), fields = rlp(raw, "block header");
  hold(same(keccak256(raw), unhex0x(block.hash)), "the header does not hash to the block's hash");
  return {
    hash: hex(keccak256(raw)), stateRoot: fields[3], receiptsRoot: fields[5], number: bytesToNumber(fields[8]),
    timestamp: bytesToNumber(fields[11]),
  };
}

function slotOf(number, key) {
  const place = new Uint8Array(32);
  place[31] = number;
  return key ? keccak256(join(new Uint8Array(32 - key.length), key, place)) : place;
}

// The account's words by slot (hex to hex of 64 digits), each proved.
function provedAccount(proof, stateRoot, what) {
  const nodes = (texts) => texts.map(unhex0x), address = unhex0x(proof.address);
  const found = trieValue(stateRoot, keccak256(address), nodes(proof.accountProof), what);
  const words = new Map(), account = found && rlp(found, what);
  for (const { key, value, proof: way } of proof.storageProof) {
    const slot = unhex0x(key);
    const raw = account && trieValue(account[2], keccak256(slot), nodes(way), `${what} slot ${key}`);
    const word = (raw ? hex(rlp(raw, what)) : "").padStart(64, "0");
    hold(BigInt(value) === BigInt(`0x${word}`), `${what} slot ${key}: another value than the proof's`);
    words.set(hex(slot), word);
  }
  return { address: hex(address), isContract: Boolean(account) && hex(account[3]) !== NO_CODE, words };
}

function wordAt(account, slot) {
  const word = account.words.get(hex(slot));
  if (word === undefined) throw new Open("this slot is not among the proved ones");
  return word;
}

function isSet(account, slot, otherwise) { hold(BigInt(`0x${wordAt(account, slot)}`) === 1n, otherwise); }

function bytesAt(account, number) {
  const head = unhex(wordAt(account, slotOf(number))), size = head[31] & 1 ? (bytesToNumber(head) - 1) / 2 : head[31] / 2;
  if (size < 32) return head.subarray(0, size);
  const parts = [], start = BigInt(`0x${hex(keccak256(slotOf(number)))}`);
  for (let i = 0n; i * 32n < BigInt(size); i++) {
    parts.push(unhex(wordAt(account, unhex(((start + i) % (1n << 256n)).toString(16).padStart(64, "0")))));
  }
  return join(...parts).subarray(0, size);
}

async function checkChain(chain, found, ledger) {
  if (!chain) return;
  const boot = () => need(found.boot, "boot events"), measured = (name) => boot().get(name);
  const header = await ledger.step("chain.header", () => blockHeader(chain.block));
  for (const id of ["chain.agreement", "chain.finality"]) await ledger.step(id, () => { throw new Open(AGREED); });
  for (const id of ["chain.network", "chain.recent"]) {
    await ledger.step(id, () => { throw new Open("it follows none of your policy"); });
  }
  const state = await ledger.step("chain.state_proof", () => {
    if (!chain.proof) throw new Open(NO_PROOF);
    const { stateRoot } = need(header, "a header that holds");
    const app = provedAccount(chain.proof.app, stateRoot, "app"), kms = provedAccount(chain.proof.kms, stateRoot, "KMS");
    hold(app.address === hex(measured("app-id")), "a proof about another app's contract");
    hold(kms.address === hex(unhex0x(chain.kms)) && kms.isContract, "a proof about another KMS contract");
    return { app, kms };
  });
  await checkState(() => need(state, chain.proof ? "a proof that holds" : "proofs, which are not inside"), found, measured, ledger);
  await ledger.step("chain.log", () => checkAllowingLog(chain, measured, header));
}

async function checkState(proved, found, measured, ledger) {
  await ledger.step("chain.app", () => {
    const { app, kms } = proved();
    hold(app.isContract, "the app id is no contract");
    isSet(kms, slotOf(5, measured("app-id")), "the app is not registered at the KMS");
  });
  await ledger.step("chain.implementation", () => {
    const { app, kms } = proved(), code = wordAt(app, unhex(PROXY_SLOT));
    if (BigInt(`0x${code}`) === 0n || code !== wordAt(kms, slotOf(9))) throw new Open("whether other code is known is your policy's");
  });
  await ledger.step("chain.compose_hash", () =>
    isSet(proved().app, slotOf(0, measured("compose-hash")), "the app's contract does not allow the measured compose hash"));
  await ledger.step("chain.device", async () => {
    const { app } = proved();
    if (unhex(wordAt(app, slotOf(1)))[30] === 1) return;
    const device = await digest("SHA-256", need(found.pck, "a PCK chain that holds").platform.ppid);
    isSet(app, slotOf(2, device), "the app's contract does not allow this machine");
  });
  await ledger.step("chain.os_image", () => {
    const { kms } = proved();
    isSet(kms, slotOf(8, need(measured("os-image-hash"), "an OS image in the boot events")), "the KMS does not allow the OS image");
  });
  await ledger.step("chain.key_provider", () => {
    const { kms } = proved(), { name, id } = keyProvider(measured("key-provider"));
    if (name !== "kms") throw new Open(`the keys are from the key provider ${name}`);
    hold(hex(bytesAt(kms, 1)) === id.toLowerCase(), "the keys come from another KMS");
  });
}

function checkAllowingLog(chain, measured, state) {
  const found = chain.allowed_by;
  if (!found) throw new Open("no log is inside");
  hold(found.log.topics[0] === `0x${ADDED}`, "the log is of another event than ComposeHashAdded");
  hold(found.log.data.slice(2) === hex(measured("compose-hash")), "the log allows another compose hash");
  hold(found.log.address.slice(2) === hex(measured("app-id")), "the log is of another contract");
  const header = provedLog(found);
  hold(header.number <= need(state, "a header that holds").number, "the log is later than the state");
}

// A log inside its block; gives the block's header.
function provedLog({ block, log, receipt }) {
  const header = blockHeader(block);
  hold(BigInt(log.blockNumber) === BigInt(header.number) && log.blockHash === `0x${header.hash}`, "the log is of another block");
  if (!receipt) throw new Open(NO_PROOF);
  hold(BigInt(receipt.transactionIndex) === BigInt(log.transactionIndex), "a proof of another transaction's receipt");
  const key = rlpInteger(Number(receipt.transactionIndex));
  let raw = trieValue(header.receiptsRoot, key, receipt.nodes.map(unhex0x), "receipt");
  hold(raw, "the block has no transaction at this place");
  if (raw[0] < 0x80) raw = raw.subarray(1);
  const logs = rlp(raw, "receipt")[3].map(([address, topics, data]) => JSON.stringify([address, topics, data].map(plainHex)));
  hold(logs.includes(JSON.stringify([log.address, log.topics, log.data])), "the proved receipt does not hold this log");
  return header;
}

function plainHex(item) { return item instanceof Uint8Array ? `0x${hex(item)}` : item.map(plainHex); }
