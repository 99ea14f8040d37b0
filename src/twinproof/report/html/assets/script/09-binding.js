// Whose question does the quote answer? report_data, the nonce, and what the app states about itself.

const STATEMENT_DOMAIN = "toy-example/attestation/v1:";

async function checkBinding(bundle, quote, ledger) {
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

async function checkAgreement(statement, boot, ledger) {
  await ledger.step("evidence.agreement", () => {
    const stated = need(statement, "a statement"), measured = need(boot, "boot events");
    for (const [member, event] of [["compose_hash", "compose-hash"], ["app_id", "app-id"], ["instance_id", "instance-id"]]) {
      hold(stated[member] === hex(measured.get(event)), `the app states another ${member} than was measured`);
    }
  });
}
