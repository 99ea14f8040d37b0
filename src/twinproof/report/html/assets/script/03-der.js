// DER, as far as certificates and revocation lists need it: tag, definite length, contents, and the element as it was.

const SEQUENCE = 0x30, SET = 0x31, INTEGER = 0x02, BIT_STRING = 0x03, OCTET_STRING = 0x04, OID = 0x06;
const UTC_TIME = 0x17, GENERALIZED_TIME = 0x18, ENUMERATED = 0x0a, BOOLEAN = 0x01;

function element(reader, tag) {
  const start = reader.at;
  const found = reader.integer(1);
  if (tag !== undefined && found !== tag) throw new Failed(`${reader.where}: tag ${found} where ${tag} belongs`);
  let size = reader.integer(1);
  if (size & 0x80) {
    const count = size & 0x7f;
    if (count < 1 || count > 3) throw new Failed(`${reader.where}: a length of ${count} bytes`);
    size = bytesToNumber(reader.take(count));
  }
  const content = reader.take(size);
  return { tag: found, content, raw: reader.bytes.subarray(start, reader.at) };
}

function children(content, where) {
  const reader = new Reader(content, where), found = [];
  while (reader.left) found.push(element(reader));
  return found;
}

function inside(item, where) { return new Reader(item.content, where); }

// What is in the one sequence that these bytes are.
function sequence(der, where) {
  const outer = new Reader(der, where), content = inside(element(outer, SEQUENCE), where);
  outer.end();
  return content;
}

function time(item) {
  const text = new TextDecoder("ascii").decode(item.content);
  const form = item.tag === UTC_TIME ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
  const match = form.exec(text);
  if (!match || (item.tag !== UTC_TIME && item.tag !== GENERALIZED_TIME)) throw new Failed(`not a time: ${text}`);
  let [year, ...rest] = match.slice(1).map(Number);
  if (item.tag === UTC_TIME) year += year < 50 ? 2000 : 1900;
  return Date.UTC(year, rest[0] - 1, ...rest.slice(1)) / 1000;
}

// r || s of the DER form that certificates carry: what WebCrypto takes.
function rawSignature(der) {
  const pair = sequence(der, "signature");
  const numbers = [element(pair, INTEGER), element(pair, INTEGER)].map(({ content }) => {
    const digits = content[0] === 0 ? content.subarray(1) : content;
    if (digits.length > 32 || content[0] & 0x80) throw new Failed("a signature that is not of P-256");
    return join(new Uint8Array(32 - digits.length), digits);
  });
  pair.end();
  return join(...numbers);
}
