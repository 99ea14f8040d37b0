// Shows what this browser found beside what the tool said, and colours every edge by the worse of the two.

const REDRAW = 500;  // milliseconds
const SLICE = 30;  // milliseconds after which the reader has a turn
const WORDS = { pass: "holds", fail: "DOES NOT HOLD", not_checked: "not repeated" };

function mark(cell, result) {
  cell.dataset.status = result.status;
  cell.textContent = `this browser: ${WORDS[result.status]}${result.reason ? ` (${result.reason})` : ""}`;
}

let turn = performance.now();

async function breathe() {
  if (performance.now() - turn < SLICE) return;
  await new Promise((resume) => setTimeout(resume));
  turn = performance.now();
}

// What was found for each cell: some of them stand in the page only after their group was opened.
const known = new Map(), repeatedSteps = new Map();

function tell(name, result) {
  known.set(name, result);
  const cell = document.getElementById(name);
  if (cell) mark(cell, result);
}

// The text is this page's own markup, as a browser without scripts reads it.
function unfold(group) {
  const folded = group.querySelector("noscript");
  if (!folded) return;
  folded.outerHTML = folded.textContent;
  for (const cell of group.querySelectorAll("small.browser")) if (known.has(cell.id)) mark(cell, known.get(cell.id));
  for (const link of group.querySelectorAll("[data-link]")) {
    const results = repeatedSteps.get(Number(link.dataset.instance));
    if (results) paintLinks([link], results);
  }
}

// The tool's word and this browser's, where both have one.
function disagrees(told, result) {
  if (result.status === NOT_CHECKED || told === NOT_CHECKED || told === undefined) return false;
  return (told === FAIL) !== (result.status === FAIL);
}

// Elements by instance, found once: a search of a large page for each instance would take longer than its signatures.
// What is about all of them comes with each.
function byInstance(selector) {
  const found = new Map();
  for (const node of document.querySelectorAll(selector)) {
    const whose = node.dataset.instance;
    if (!found.has(whose)) found.set(whose, []);
    found.get(whose).push(node);
  }
  return (index) => [...(found.get(String(index)) || []), ...(found.get("all") || [])];
}

function worst(failed, repeated) { return failed.length ? FAIL : repeated.length ? PASS : NOT_CHECKED; }

function paintLinks(links, results) {
  for (const link of links) {
    const ids = link.dataset.checks.split(" ");
    const { failed, repeated } = sorted(results, ids);
    if (failed.length) link.dataset.status = FAIL;
    link.dataset.browser = repeated.length ? "repeated" : "none";
    const words = link.querySelector(".status-word");
    if (words && failed.length) words.textContent = `BROKEN, says this browser: ${failed.join(", ")}`;
    const browser = link.querySelector(".browser");
    if (browser) {
      browser.dataset.status = worst(failed, repeated);
      browser.textContent = `this browser: ${repeated.length} of ${ids.length} steps repeated`;
    }
  }
}

// Why this page has nothing of its own to say about a check, by its family.
const ONLY_THE_TOOL = {
  policy: "it follows none of your policy", chain: "no chain was asked", dcap: "only the tool does this",
  dstack: "only the tool does this", evidence: "only the tool does this", keys: "only the tool does this",
};

function markRest(results, told, index) {
  for (const id of Object.keys(told)) {
    if (results.has(id)) continue;
    const reason = ONLY_THE_TOOL[id.split(".")[0]] || "only the tool does this";
    tell(`browser-${index}-${id}`, { status: NOT_CHECKED, reason });
  }
}

// One line for an instance whose checks have no cells of their own.
function markSum(results, index) {
  const cell = document.getElementById(`browser-sum-${index}`);
  if (!cell) return;
  const { failed, repeated } = sorted(results, [...results.keys()]);
  const rest = failed.length ? `NOT holding: ${failed.join(", ")}` : "all hold";
  cell.dataset.status = worst(failed, repeated);
  cell.textContent = `this browser: ${repeated.length} steps repeated, ${rest}`;
}

// What the table shows has to be what this page read out of the signed bytes itself.
async function shownValues(cells, index, found, differences, count) {
  const values = comparable(found);
  if (found.pck) values["compare.machine"] = hex(await digest("SHA-256", found.pck.platform.ppid));
  for (const cell of cells) {
    const read = values[cell.dataset.value], shown = cell.textContent.trim();
    if (read && read !== shown) {
      cell.dataset.status = FAIL;
      if (cell.dataset.told === FAIL) { count.failed++; continue; }
      differences.push({ id: cell.dataset.value, index, reason: `this page shows ${shown}, the evidence says ${read}` });
    }
  }
}

// The page is left alone until everything is known: to lay out a large page anew after each step would take minutes.
async function recheckAll() {
  const report = part("report"), found = [];
  let drawn = 0;
  for (const [index, told] of report.instances.entries()) {
    if (performance.now() - drawn > REDRAW) {
      progress(`Repeating the verification of instance ${index + 1} of ${report.instances.length}…`);
      drawn = performance.now();
    }
    await breathe();
    found.push(await recheck(index, told));
  }
  await showResults(report, found);
}

async function showResults(report, found) {
  const links = byInstance("[data-link]"), cells = byInstance("[data-value]"), differences = [];
  const count = { repeated: 0, failed: 0 };
  const take = (results, told, index, prefix) => {
    for (const [id, result] of results) {
      if (result.status !== NOT_CHECKED) count.repeated++;
      if (result.status === FAIL) count.failed++;
      if (disagrees(told[id], result)) differences.push({ id, index, reason: result.reason });
      tell(`${prefix}-${id}`, result);
    }
  };
  for (const [index, one] of found.entries()) {
    take(one.ledger.results, report.instances[index].checks, index, `browser-${index}`);
    repeatedSteps.set(index, one.ledger.results);
    paintLinks(links(index), one.ledger.results);
    markSum(one.ledger.results, index);
    markRest(one.ledger.results, report.instances[index].checks, index);
    await shownValues(cells(index), index, one, differences, count);
    await breathe();
  }
  if (report.history) {
    const ledger = new Ledger();
    await checkHistory(report.history, ledger);
    showHistory(ledger.results, differences, count);
  }
  if (found.length > 1 && (Object.keys(report.checks).length || saysComplete())) {
    const ledger = new Ledger();
    await checkBetween(found, ledger);
    take(ledger.results, report.checks, null, "browser-all");
  }
  if (!report.history) differences.push(...headlineDoubts(report, found, count.failed));
  const roots = (await Promise.all(report.instances.map(({ root }) => digest("SHA-256", unhex(root))))).map(hex);
  conclude(report, count, differences, roots.every((root) => root === INTEL_ROOT_SHA256));
}

function progress(text) { document.getElementById("browser-progress").textContent = text; }

function conclude(report, { repeated, failed }, differences, intel) {
  const box = document.getElementById("browser-result"), list = document.getElementById("browser-differences");
  list.replaceChildren(...differences.map(({ id, index, reason }) => {
    const item = document.createElement("li");
    const who = index !== null ? report.instances[index].title : report.history ? "the log" : "between the instances";
    item.textContent = `${id}, ${who}: ${reason || "holds here, and the tool says it does not"}`;
    return item;
  }));
  box.dataset.status = differences.length || failed ? FAIL : PASS;
  box.dataset.done = "yes";
  dispute(differences);
  const under = intel ? "under the Intel SGX Root CA" : "under a root that is NOT Intel's";
  const root = report.instances.length ? under : "of the proofs and texts inside";
  if (!repeated && !failed && !differences.length) {
    box.dataset.status = NOT_CHECKED;
    return progress("Nothing in this file can be verified by a browser: no proof is inside. All of it is the tool's word.");
  }
  progress(differences.length
    ? `This browser DISAGREES with the report in ${differences.length} places. Do not rely on it.`
    : failed ? `This browser repeated ${repeated} steps ${root}: ${failed} do not hold, as the report says.`
      : `This browser repeated ${repeated} steps ${root}: all hold, and it agrees with the report.`);
}

async function start() {
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => save(Number(button.dataset.save)));
    button.hidden = false;
  }
  const again = document.getElementById("browser-again");
  const all = document.getElementById("open-all");
  for (const group of document.querySelectorAll("details.group, details.words")) {
    group.addEventListener("toggle", () => unfold(group));
    if (group.open) unfold(group);
  }
  if (all) all.addEventListener("click", () => {
    const groups = [...document.querySelectorAll("details.group")], open = groups.some((group) => !group.open);
    for (const group of groups) group.open = open;
  });
  if (all) all.hidden = false;
  if (!globalThis.crypto || !crypto.subtle) {
    document.getElementById("browser-result").dataset.done = "yes";
    return progress("This browser offers no cryptography for this address: open the file from disk or over HTTPS.");
  }
  again.addEventListener("click", run);
  again.hidden = false;
  await run();
}

async function run() {
  const again = document.getElementById("browser-again");
  again.disabled = true;
  delete document.getElementById("browser-result").dataset.done;
  try { await recheckAll(); } catch (error) {
    const box = document.getElementById("browser-result");
    box.dataset.status = FAIL;
    box.dataset.done = "yes";
    progress(`This browser could not repeat the verification: ${error.message || error}`);
  }
  again.disabled = false;
}

// When all is loaded, and after a paint: a report of a hundred instances is readable before it is repeated.
addEventListener("load", () => requestAnimationFrame(() => setTimeout(start)));
