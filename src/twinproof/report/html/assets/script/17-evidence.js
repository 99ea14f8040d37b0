// The evidence bundles inside this file. Collateral that several instances share is kept once.

function part(id) {
  const found = document.getElementById(id);
  return found ? JSON.parse(found.textContent) : null;
}

const shared = new Map();

function collateralOf(digest) {
  if (!shared.has(digest)) shared.set(digest, part(`collateral-${digest}`));
  return shared.get(digest);
}

function bundleOf(index) {
  const { bundle, collateral, ...more } = part(`evidence-${index}`);
  return { ...more, bundle: collateral ? { ...bundle, collateral: collateralOf(collateral) } : bundle };
}

async function recheck(index, told) {
  const ledger = new Ledger();
  const found = await ledger.step("evidence.carrier", () => {
    const { bundle, carried } = bundleOf(index);
    const holder = bundle.quote ?? bundle.attestation ?? bundle.ra_tls_certificate;
    const quote = bundle.quote ?? need(carried.quote, "a quote");
    if (holder.includes(hex(utf8("ELGZv1")))) throw new Open("the certificate carries its quote compressed");
    hold(holder.includes(quote), "the quote is not in the evidence that carried it");
    return { bundle, carried: { ...carried, ...textsOf(bundle) }, quote: unhex(quote) };
  });
  if (!found) return { ledger };
  const { bundle, carried } = found;
  if (!bundle.collateral) return { ledger };
  const judged = await checkGenuine(found.quote, bundle.collateral, unhex(told.root), told.at, ledger);
  const statement = await checkBinding(bundle, judged.quote, ledger);
  const boot = await checkRuns(carried, judged.quote && judged.quote.td, ledger);
  await checkAgreement(statement, boot, ledger);
  await checkTlsKey(bundle, statement, ledger);
  await checkChain(bundle.chain, { boot, ...judged }, ledger);
  return { ledger, bundle, statement, boot, ...judged };
}

// What the bundle itself holds is taken from there; what it carries inside a container was taken out by the tool.
function textsOf(bundle) {
  const own = {};
  for (const name of ["event_log", "app_compose"]) if (bundle[name] && bundle.quote) own[name] = bundle[name];
  return own;
}

function save(index) {
  const { bundle, file } = bundleOf(index);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${JSON.stringify(bundle, null, 1)}\n`], { type: "application/json" }));
  link.download = file;
  link.click();
  URL.revokeObjectURL(link.href);
}
