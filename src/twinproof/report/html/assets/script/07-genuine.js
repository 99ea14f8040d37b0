// Is the quote genuine? The steps of the tool's plan (docs/VERIFICATION.md) that a browser can repeat, by their names.

const INTEL_ROOT_SHA256 = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3";
const INTEL_QE_VENDOR = "939a7233f79c4ca9940a0db3957f0607";
const PCK_CAS = ["Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA"];

async function checkGenuine(quoteBytes, collateral, root, at, ledger) {
  const quote = await ledger.step("dcap.quote_format", () => parseQuote(quoteBytes));
  await ledger.step("dcap.header", () => {
    need(quote, "a quote");
    hold(hex(quote.vendor) === INTEL_QE_VENDOR && quote.keyType === 2, "not Intel's quoting enclave with ECDSA P-256");
  });
  const chain = await ledger.step("dcap.certification_data", () => chainOf(need(quote, "a quote"), collateral));
  const pck = await ledger.step("dcap.pck_chain", () => checkPckChain(need(chain, "the PCK chain"), root, at));
  const documents = await checkDocuments(collateral, root, pck, at, quote, ledger);
  await checkQuotingEnclave(quote, pck, documents, ledger);
  await checkPlatform(quote, pck, documents, ledger);
  return { quote, pck, documents };
}

function chainOf(quote, collateral) {
  const own = quote.certificationType === 5 ? new TextDecoder("ascii").decode(quote.certificationData) : null;
  const certificates = pem(own || need(collateral.pck_certificate_chain, "a certificate chain"));
  hold(certificates.length === 3, `${certificates.length} certificates instead of 3`);
  return certificates.map(certificate);
}

async function checkPckChain([leaf, ca, root], trusted, at) {
  hold(same(root.der, trusted), "the chain ends at another root than this report's");
  hold(PCK_CAS.includes(ca.name), `the CA is called ${ca.name}`);
  hold(!isCa(leaf), "the PCK certificate is a CA");
  await issuedBy(root, root, "root certificate");
  await issuedBy(ca, root, "PCK CA");
  await issuedBy(leaf, ca, "PCK certificate");
  for (const cert of [leaf, ca, root]) within(cert.from, cert.until, at, cert.name);
  return { leaf, ca, root, platform: sgxExtension(leaf) };
}

async function checkCrl(der, issuer, cert, at, what) {
  const list = revocationList(unhex(der));
  hold(same(list.issuer, issuer.subject), `${what}: of another CA`);
  await signedBy(issuer.key, "spki", list.signature, list.signed, what);
  within(list.from, list.until - 1, at, what);
  for (const one of cert) hold(!list.serials.has(one.serial), `${one.name} is revoked`);
}

async function checkDocuments(collateral, root, pck, at, quote, ledger) {
  const parties = () => need(pck, "a PCK chain that holds");
  await ledger.step("dcap.root_crl", () => checkCrl(collateral.root_ca_crl, parties().root, [pck.ca], at, "root CRL"));
  await ledger.step("dcap.pck_crl", () => checkCrl(collateral.pck_crl, parties().ca, [pck.leaf], at, "PCK CRL"));
  const signers = await ledger.step("dcap.tcb_signing", async () => {
    const found = [];
    for (const text of [collateral.tcb_info_issuer_chain, collateral.qe_identity_issuer_chain]) {
      const [signer, anchor, ...more] = pem(text).map(certificate);
      hold(anchor && !more.length && same(anchor.der, root), "the documents' chain does not end at this report's root");
      hold(signer.name === "Intel SGX TCB Signing" && !isCa(signer), `signed by ${signer.name}`);
      await issuedBy(signer, anchor, "TCB Signing certificate");
      within(signer.from, signer.until, at, signer.name);
      await checkCrl(collateral.root_ca_crl, anchor, [signer], at, "root CRL");
      found.push(signer);
    }
    return found;
  });
  const info = await ledger.step("dcap.tcb_info", () =>
    signedDocument(collateral.tcb_info, collateral.tcb_info_signature, signers && signers[0], at, "TCB Info",
      quote && (quote.tee ? "TDX" : "SGX")));
  const identity = await ledger.step("dcap.qe_identity", () =>
    signedDocument(collateral.qe_identity, collateral.qe_identity_signature, signers && signers[1], at, "QE Identity",
      quote && (quote.tee ? "TD_QE" : "QE")));
  return { info, identity };
}

async function signedDocument(text, signature, signer, at, what, id) {
  await signedBy(need(signer, "the TCB Signing certificate").key, "spki", unhex(signature), utf8(text), what);
  const document = JSON.parse(text);
  within(Date.parse(document.issueDate) / 1000, Date.parse(document.nextUpdate) / 1000, at, what);
  hold(document.id === need(id, "a quote"), `${what} of another TEE`);
  return document;
}

async function checkQuotingEnclave(quote, pck, documents, ledger) {
  await ledger.step("dcap.qe_report_signature", () =>
    signedBy(need(pck, "a PCK chain that holds").leaf.key, "spki", quote.qeSignature, quote.qeReport, "QE report"));
  await ledger.step("dcap.qe_binding", async () => {
    const bound = await digest("SHA-256", join(need(quote, "a quote").key, quote.qeAuthData));
    hold(same(quote.qe.report_data, join(bound, new Uint8Array(32))), "the QE's report names another attestation key");
  });
  await ledger.step("dcap.qe_match", () => checkEnclave(need(quote, "a quote").qe, need(documents.identity, "the QE Identity")));
  await ledger.step("dcap.qe_tcb_level", () => svnLevel(need(documents.identity, "the QE Identity").tcbLevels, quote.qe.isvSvn));
  await ledger.step("dcap.quote_signature", () =>
    signedBy(join(new Uint8Array([4]), need(quote, "a quote").key), "raw", quote.signature, quote.signed, "quote"));
}

function checkEnclave(report, identity) {
  const attributes = unhex(identity.attributesMask).map((mask, i) => mask & report.attributes[i]);
  const word = (text) => new Reader(unhex(text), "miscselect").integer(4);
  hold(hex(report.mrsigner) === identity.mrsigner.toLowerCase(), "the quoting enclave is signed by someone else");
  hold(report.isvProdId === identity.isvprodid, "another product than the quoting enclave");
  hold(hex(attributes) === identity.attributes.toLowerCase(), "the quoting enclave runs with other attributes");
  hold(((report.miscSelect & word(identity.miscselectMask)) >>> 0) === word(identity.miscselect), "MISCSELECT differs");
  hold(!(report.attributes[0] & 2), "the quoting enclave runs in debug mode");
}
