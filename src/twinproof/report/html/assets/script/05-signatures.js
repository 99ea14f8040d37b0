// ECDSA over P-256 with SHA-256, by the browser's own WebCrypto. Signatures are r || s, 64 bytes.

const P256 = { name: "ECDSA", namedCurve: "P-256" }, SHA256 = { name: "ECDSA", hash: "SHA-256" };

async function signedBy(key, form, signature, data, what) {
  let held = false;
  try {
    const imported = await crypto.subtle.importKey(form, key, P256, false, ["verify"]);
    held = await crypto.subtle.verify(SHA256, imported, signature, data);
  } catch (error) {
    throw new Failed(`${what}: not a P-256 key (${error.message || error.name})`);
  }
  hold(held, `${what}: the signature does not hold`);
}

async function issuedBy(cert, issuer, what) {
  hold(same(cert.issuer, issuer.subject), `${what}: issued by another name`);
  hold(isCa(issuer), `${what}: the issuer is no CA`);
  await signedBy(issuer.key, "spki", cert.signature, cert.signed, what);
}

function within(from, until, at, what) {
  hold(Number.isFinite(from) && Number.isFinite(until), `${what}: no dates`);
  hold(at >= from, `${what} is not valid yet at that time`);
  hold(at <= until, `${what} has expired at that time`);
}
