// RLP and Merkle-Patricia proofs: what a trie of a known root holds under a key. Ethereum yellow paper, appendices B, D.

function rlp(bytes, where) {
  const reader = new Reader(bytes, where), item = rlpItem(reader);
  reader.end();
  return item;
}

function rlpItem(reader) {
  const first = reader.integer(1);
  if (first < 0x80) return reader.bytes.subarray(reader.at - 1, reader.at);
  const list = first >= 0xc0, base = list ? 0xc0 : 0x80;
  let size = first - base;
  if (size > 55) {
    size = bytesToNumber(reader.take(size - 55));
    hold(size > 55, `${reader.where}: an RLP length in another form`);
  }
  const content = reader.take(size);
  if (!list) {
    hold(size !== 1 || content[0] >= 0x80, `${reader.where}: an RLP byte in another form`);
    return content;
  }
  const inner = new Reader(content, reader.where), items = [];
  while (inner.left) items.push(rlpItem(inner));
  return items;
}

function rlpInteger(value) {
  if (value < 0x80) return new Uint8Array(value ? [value] : [0x80]);
  const digits = [];
  for (let rest = value; rest; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return new Uint8Array([0x80 + digits.length, ...digits]);
}

function nibbles(key) { return [...key].flatMap((byte) => [byte >> 4, byte & 15]); }

const EMPTY_TRIE = "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";

// The value under this path (32 bytes or an RLP index), null when the nodes show that there is none.
function trieValue(root, key, nodes, where) {
  if (hex(root) === EMPTY_TRIE) return null;
  let path = nibbles(key), used = 0;
  const named = (hash) => {
    hold(used < nodes.length, `${where}: the proof ends before the way does`);
    const raw = nodes[used++];
    hold(same(keccak256(raw), hash), `${where}: node ${used - 1} is not the one that is named`);
    return rlp(raw, where);
  };
  const walk = () => {
    let node = named(root);
    for (;;) {
      let child;
      if (node.length === 17) {
        if (!path.length) return node[16].length ? node[16] : null;
        child = node[path[0]];
        path = path.slice(1);
      } else {
        hold(node.length === 2, `${where}: not a trie node`);
        const halves = nibbles(node[0]), partial = halves.slice(halves[0] & 1 ? 1 : 2);
        hold(halves[0] <= 3, `${where}: not a trie node`);
        const fits = partial.every((half, i) => half === path[i]);
        if (halves[0] & 2) return fits && partial.length === path.length ? node[1] : null;
        if (!fits) return null;
        path = path.slice(partial.length);
        child = node[1];
      }
      if (child instanceof Uint8Array) {
        if (!child.length) return null;
        hold(child.length === 32, `${where}: a reference of another length`);
        node = named(child);
      } else node = child;
    }
  };
  const value = walk();
  hold(used === nodes.length, `${where}: nodes that are not on the way`);
  return value;
}
