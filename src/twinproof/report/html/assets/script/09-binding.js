// Whose question does the quote answer? report_data, the nonce, and what the app states about itself.

const STATEMENT_DOMAIN = "toy-example/attestation/v1:", RA_TLS_DOMAIN = "ratls-cert:";

// DER SubjectPublicKeyInfo, whoever signed the certificate.
function publicKeyInfo(der) {
  const signed = element(inside(element(new Reader(der, "certificate"), SEQUENCE), "certificate"), SEQUENCE);
  const parts = children(signed.content, "certificate");
  return parts[parts[0].tag === 0xa0 ? 6 : 5].raw;
}

async function checkRaTls(der, quote, ledger) {
  await ledger.step("evidence.report_data", async () => {
    const bound = await digest("SHA-512", join(utf8(RA_TLS_DOMAIN), publicKeyInfo(unhex(der))));
    hold(same(need(need(quote, "a quote").td, "a TD report").report_data, bound), "the quote does not sign this certificate's key");
  });
}

async function checkBinding(bundle, quote, ledger) {
  if (bundle.ra_tls_certificate) return checkRaTls(bundle.ra_tls_certificate, quote, ledger);
  const none = () => need(bundle.statement, "a statement of the toy example's form");
  await ledger.step("evidence.report_data", async () => {
    const bound = await digest("SHA-512", utf8(STATEMENT_DOMAIN + none()));
    const report = need(quote, "a quote").td || quote.enclave;
    hold(same(report.report_data, bound), "the quote does not sign this statement");
  });
  const statement = await ledger.step("evidence.statement", () => {
    const parsed = JSON.parse(none());
    hold(parsed.schema === "toy-example/statement/v1", "an unknown schema");
    return parsed;
  });
  await ledger.step("evidence.nonce", async () => {
    const { session, index, url, nonce } = need(bundle.challenge, "a challenge");
    const place = new Uint8Array(4);
    new DataView(place.buffer).setUint32(0, index);
    const derived = hex(await digest("SHA-256", join(unhex(session), place, utf8(url))));
    hold(derived === nonce, "the challenge's nonce does not derive from its session");
    hold(url === bundle.source, "the challenge was for another address");
    hold(need(statement, "a statement").eat_nonce === derived, "the statement answers another nonce");
  });
  return statement;
}

// The statement may name the key of the TLS certificate that was seen.
async function checkTlsKey(bundle, statement, ledger) {
  await ledger.step("evidence.tls_key", async () => {
    const seen = await digest("SHA-256", publicKeyInfo(unhex(need(bundle.tls_certificate, "a TLS certificate that was seen"))));
    if (bundle.ra_tls_certificate) {
      const named = await digest("SHA-256", publicKeyInfo(unhex(bundle.ra_tls_certificate)));
      if (bundle.origin !== "dstack/ra-tls" && !same(seen, named)) throw new Open("the connection ended at another key, such as a gateway's");
      return hold(same(seen, named), "the TLS key seen is not the one that the quote names");
    }
    const named = need(need(statement, "a statement").tls_spki_sha256, "a TLS key in the statement");
    hold(hex(seen) === named, "the TLS key seen is not the one that the statement names");
  });
}

async function checkAgreement(statement, boot, ledger) {
  await ledger.step("evidence.agreement", () => {
    const stated = need(statement, "a statement"), measured = need(boot, "boot events");
    for (const [member, event] of [["compose_hash", "compose-hash"], ["app_id", "app-id"], ["instance_id", "instance-id"]]) {
      hold(stated[member] === hex(measured.get(event)), `the app states another ${member} than was measured`);
    }
  });
}
