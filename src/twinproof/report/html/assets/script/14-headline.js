// What stands on the page in large letters has to follow from what is inside: to edit a headline breaks no signature.

const COMPLETE = "PROOF COMPLETE";
const OF_COMPLETE = ["dcap.pck_chain", "dcap.qe_report_signature", "dcap.quote_signature", "evidence.report_data",
  "evidence.nonce", "evidence.agreement", "dstack.rtmr3_replay", "dstack.compose_hash"];
const ALWAYS_REPEATED = [...OF_COMPLETE, "chain.state_proof"];

function headline() { return document.querySelector("header.verdict h1").textContent.trim(); }

function saysComplete() { return headline().includes(COMPLETE); }

// Steps that hold, says the report, and that this page has no bytes to repeat.
function missing(told, results, complete) {
  const compressed = results.has("evidence.carrier") && statusIn(results, "evidence.carrier") === NOT_CHECKED;
  if (compressed && !complete) return [];
  const ids = ALWAYS_REPEATED.filter((id) => told[id] === PASS || (complete && OF_COMPLETE.includes(id)));
  return ids.filter((id) => statusIn(results, id) === NOT_CHECKED);
}

// Why the headline cannot be right.
function headlineDoubts(report, found, failed) {
  const title = headline(), complete = saysComplete(), doubts = [];
  const doubt = (reason) => doubts.push({ id: "the headline", index: null, reason });
  if (title !== report.outcome.trim()) doubt(`this page says ${title}, its data says ${report.outcome}`);
  const good = complete || document.querySelector("header.verdict").dataset.tone === "good";
  const told = [report.checks, ...report.instances.map(({ checks }) => checks)];
  const refused = told.flatMap((checks) => Object.keys(checks).filter((id) => checks[id] === FAIL));
  if (good && failed) doubt(`it is good news, and ${failed} steps do not hold`);
  else if (good && refused.length) doubt(`it is good news, and the tool's own data says that ${refused.join(", ")} failed`);
  const allowed = report.instances.every(({ checks }) => [PASS, "warn"].includes(checks["chain.compose_hash"]));
  if (title === COMPLETE && !allowed) doubt("it keeps quiet about the chain, which was not shown");
  if (complete && found.length < 2) doubt("a comparison needs the evidence of two instances");
  for (const [index, { ledger }] of found.entries()) {
    for (const id of missing(report.instances[index].checks, ledger.results, complete)) {
      doubts.push({ id, index, reason: "the report says that it holds, and nothing inside lets a browser repeat it" });
    }
  }
  return doubts;
}

// Said where it is read first.
function dispute(differences) {
  const header = document.querySelector("header.verdict"), old = document.getElementById("disputed");
  if (old) old.remove();
  if (!differences.length) return;
  const said = document.createElement("p");
  said.id = "disputed";
  said.className = "mark";
  said.dataset.status = FAIL;
  said.textContent = "Your browser DISAGREES with this page. Do not rely on it.";
  header.dataset.tone = "bad";
  header.prepend(said);
}
