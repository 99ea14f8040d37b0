// Bytes, hex, texts and digests. Every length is checked: a view that runs out throws.

const encoder = new TextEncoder();

function utf8(text) { return encoder.encode(text); }

function hex(bytes) {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

function unhex(text) {
  if (typeof text !== "string" || text.length % 2 || !/^[0-9a-fA-F]*$/.test(text)) throw new Failed("not hex text");
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(text.substr(2 * i, 2), 16);
  return bytes;
}

function join(...parts) {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) { bytes.set(part, at); at += part.length; }
  return bytes;
}

function same(a, b) { return a.length === b.length && a.every((byte, i) => byte === b[i]); }

// The first byte is the highest.
function bytesToNumber(bytes) { return bytes.reduce((value, byte) => value * 256 + byte, 0); }

function zero(bytes) { return bytes.every((byte) => byte === 0); }

async function digest(name, bytes) { return new Uint8Array(await crypto.subtle.digest(name, bytes)); }

// Takes fields off the front; running out is a failure.
class Reader {
  constructor(bytes, where) { this.bytes = bytes; this.at = 0; this.where = where; }
  take(size) {
    if (size < 0 || this.at + size > this.bytes.length) throw new Failed(`${this.where} is cut off at byte ${this.at}`);
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }
  integer(size) { return this.take(size).reduceRight((value, byte) => value * 256 + byte, 0); }
  get left() { return this.bytes.length - this.at; }
  end() { if (this.left) throw new Failed(`${this.left} bytes left over in ${this.where}`); }
}
