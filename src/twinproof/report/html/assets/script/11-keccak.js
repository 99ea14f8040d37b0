// Keccak-256, Ethereum's hash, which WebCrypto does not have. Lanes are pairs of 32-bit halves. Source: FIPS 202 with
// the padding of the competition; rotations and round constants are computed, as the specification defines them.

const KECCAK_RATE = 136;
const RHO_PI = [], IOTA = [];
{
  let x = 1, y = 0, lfsr = 1;
  for (let t = 0; t < 24; t++) {
    const from = x + 5 * y;
    [x, y] = [y, (2 * x + 3 * y) % 5];
    RHO_PI.push([from, x + 5 * y, ((t + 1) * (t + 2) / 2) % 64]);
    const constant = [0, 0];
    for (let j = 0; j < 7; j++) {
      lfsr = ((lfsr << 1) ^ ((lfsr >> 7) * 0x71)) & 0xff;
      const bit = (1 << j) - 1;
      if (lfsr & 2) constant[bit >> 5] ^= 1 << (bit & 31);
    }
    IOTA.push(constant);
  }
}

function keccak256(bytes) {
  const padded = new Uint8Array((Math.floor(bytes.length / KECCAK_RATE) + 1) * KECCAK_RATE);
  padded.set(bytes);
  padded[bytes.length] ^= 1;
  padded[padded.length - 1] ^= 0x80;
  const input = new DataView(padded.buffer), low = new Int32Array(25), high = new Int32Array(25);
  for (let at = 0; at < padded.length; at += KECCAK_RATE) {
    for (let lane = 0; lane < KECCAK_RATE / 8; lane++) {
      low[lane] ^= input.getInt32(at + 8 * lane, true);
      high[lane] ^= input.getInt32(at + 8 * lane + 4, true);
    }
    permute(low, high);
  }
  const output = new DataView(new ArrayBuffer(32));
  for (let lane = 0; lane < 4; lane++) {
    output.setInt32(8 * lane, low[lane], true);
    output.setInt32(8 * lane + 4, high[lane], true);
  }
  return new Uint8Array(output.buffer);
}

function permute(low, high) {
  const c = new Int32Array(10), b = new Int32Array(50);
  for (const [iotaLow, iotaHigh] of IOTA) {
    for (let x = 0; x < 5; x++) {
      c[x] = low[x] ^ low[x + 5] ^ low[x + 10] ^ low[x + 15] ^ low[x + 20];
      c[x + 5] = high[x] ^ high[x + 5] ^ high[x + 10] ^ high[x + 15] ^ high[x + 20];
    }
    for (let x = 0; x < 5; x++) {
      const before = (x + 4) % 5, after = (x + 1) % 5;
      const dLow = c[before] ^ ((c[after] << 1) | (c[after + 5] >>> 31));
      const dHigh = c[before + 5] ^ ((c[after + 5] << 1) | (c[after] >>> 31));
      for (let lane = x; lane < 25; lane += 5) { low[lane] ^= dLow; high[lane] ^= dHigh; }
    }
    b[0] = low[0];
    b[25] = high[0];
    for (const [from, to, turn] of RHO_PI) {
      const [first, second] = turn < 32 ? [low[from], high[from]] : [high[from], low[from]], by = turn & 31;
      b[to] = by ? (first << by) | (second >>> (32 - by)) : first;
      b[to + 25] = by ? (second << by) | (first >>> (32 - by)) : second;
    }
    for (let row = 0; row < 25; row += 5) {
      for (let x = 0; x < 5; x++) {
        const one = row + (x + 1) % 5, two = row + (x + 2) % 5;
        low[row + x] = b[row + x] ^ (~b[one] & b[two]);
        high[row + x] = b[row + x + 25] ^ (~b[one + 25] & b[two + 25]);
      }
    }
    low[0] ^= iotaLow;
    high[0] ^= iotaHigh;
  }
}
