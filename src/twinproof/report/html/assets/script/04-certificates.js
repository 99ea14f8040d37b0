// Certificates, revocation lists and the SGX extension of Intel's PCK certificates (profile 1.5).

const ECDSA_WITH_SHA256 = "2a8648ce3d040302", SGX_ARC = "2a864886f84d010d01", BASIC_CONSTRAINTS = "551d13";
const COMMON_NAME = "550403";

function certificate(der) {
  const whole = sequence(der, "certificate");
  const signed = element(whole, SEQUENCE), algorithm = element(whole, SEQUENCE), signature = element(whole, BIT_STRING);
  whole.end();
  hold(hex(children(algorithm.content, "algorithm")[0].content) === ECDSA_WITH_SHA256, "not signed with ECDSA and SHA-256");
  const parts = inside(signed, "certificate");
  element(parts, 0xa0);
  const serial = element(parts, INTEGER), inner = element(parts, SEQUENCE), issuer = element(parts, SEQUENCE);
  hold(same(inner.raw, algorithm.raw), "two signature algorithms in one certificate");
  const [from, until] = children(element(parts, SEQUENCE).content, "validity").map(time);
  const subject = element(parts, SEQUENCE), key = element(parts, SEQUENCE);
  return {
    der, signed: signed.raw, signature: rawSignature(signature.content.subarray(1)), serial: hex(serial.content),
    issuer: issuer.raw, subject: subject.raw, name: commonName(subject), from, until, key: key.raw,
    extensions: extensionsOf(parts),
  };
}

function commonName(subject) {
  for (const set of children(subject.content, "name")) {
    const [type, value] = children(children(set.content, "name")[0].content, "name");
    if (hex(type.content) === COMMON_NAME) return new TextDecoder().decode(value.content);
  }
  return "";
}

function extensionsOf(parts) {
  const found = new Map();
  while (parts.left) {
    const part = element(parts);
    if (part.tag !== 0xa3) continue;
    for (const item of children(element(inside(part, "extensions"), SEQUENCE).content, "extensions")) {
      const members = children(item.content, "extension");
      found.set(hex(members[0].content), members[members.length - 1].content);
    }
  }
  return found;
}

function isCa(cert) {
  const value = cert.extensions.get(BASIC_CONSTRAINTS);
  if (!value) return false;
  const first = children(element(new Reader(value, "basicConstraints"), SEQUENCE).content, "basicConstraints")[0];
  return Boolean(first && first.tag === BOOLEAN && first.content[0]);
}

function pem(text) {
  const blocks = [...text.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g)];
  return blocks.map(([, body]) => Uint8Array.from(atob(body.replace(/\s/g, "")), (char) => char.charCodeAt(0)));
}

function revocationList(der) {
  const whole = sequence(der, "CRL");
  const signed = element(whole, SEQUENCE);
  element(whole, SEQUENCE);
  const signature = rawSignature(element(whole, BIT_STRING).content.subarray(1));
  const parts = inside(signed, "CRL");
  element(parts, INTEGER);
  element(parts, SEQUENCE);
  const issuer = element(parts, SEQUENCE).raw, from = time(element(parts)), until = time(element(parts));
  const serials = new Set();
  if (parts.left && parts.bytes[parts.at] === SEQUENCE) {
    for (const entry of children(element(parts, SEQUENCE).content, "CRL entries")) {
      serials.add(hex(children(entry.content, "CRL entry")[0].content));
    }
  }
  return { signed: signed.raw, signature, issuer, from, until, serials };
}

// FMSPC, PCE ID, PPID and the SVNs: members are {OID, value} pairs under Intel's arc.
function sgxExtension(cert) {
  const value = need(cert.extensions.get(SGX_ARC), "the SGX extension of the PCK certificate");
  const members = pairs(element(new Reader(value, "SGX extension"), SEQUENCE).content, SGX_ARC);
  const tcb = pairs(members.get("02").content, `${SGX_ARC}02`);
  const components = [];
  for (let n = 1; n <= 16; n++) components.push(number(tcb.get(n.toString(16).padStart(2, "0"))));
  return {
    ppid: members.get("01").content, pceId: members.get("03").content, fmspc: members.get("04").content,
    components, pceSvn: number(tcb.get("11")),
  };
}

function pairs(content, arc) {
  const found = new Map();
  for (const pair of children(content, "SGX extension")) {
    const [type, value] = children(pair.content, "SGX extension");
    const name = hex(type.content);
    hold(name.startsWith(arc) && !found.has(name.slice(arc.length)), "an SGX extension of another form");
    found.set(name.slice(arc.length), value);
  }
  return found;
}

function number(item) { return bytesToNumber(need(item, "an SVN").content); }
