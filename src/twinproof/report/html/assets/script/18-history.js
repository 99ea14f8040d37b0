// What a page about an app's history carries: the logs with their proofs, and the texts that were published.

const REMOVED = "755b79bd4b0eeab344d032284a99003b2ddc018b646752ac72d681593a6e8947";
const SIGNS = { "+": ADDED, "-": REMOVED };

// Rows name the log that they show by its block and place; what they show has to be what the log says.
async function checkHistory(history, ledger) {
  const proofs = new Map((part("history-proofs") || []).map((item) => [placeOf(item.log), item]));
  for (const row of document.querySelectorAll("[data-log]")) {
    await ledger.step(row.dataset.log, () => {
      const item = proofs.get(row.dataset.log);
      if (!item) throw new Open(NO_PROOF);
      hold(item.log.address === history.app, "a log of another contract");
      const header = provedLog(item);
      hold(row.dataset.time === "" || Number(row.dataset.time) === header.timestamp, "the block has another time");
      const said = row.dataset.hash && SIGNS[row.dataset.sign];
      if (said) {
        hold(item.log.topics[0] === `0x${said}`, "the log is of another event");
        hold(item.log.data === `0x${row.dataset.hash}`, "the log is about another compose hash");
      }
    });
  }
  const shown = new Set([...document.querySelectorAll("[data-log]")].map((row) => row.dataset.log));
  for (const [id, item] of proofs) if (!shown.has(id)) await ledger.step(id, () => { provedLog(item); });
  for (const row of document.querySelectorAll("[data-published]")) {
    await ledger.step(`published-${row.dataset.published}`, async () => {
      const text = need(part(`text-${row.dataset.published}`), "the published text, which is not inside");
      hold(hex(await digest("SHA-256", utf8(text))) === row.dataset.published, "the text inside has another hash");
    });
  }
}

function placeOf(log) { return `log-${BigInt(log.blockNumber)}-${BigInt(log.logIndex)}`; }

function showHistory(results, differences, count) {
  const shown = (nodes, key) => {
    for (const node of nodes) {
      const result = results.get(key(node)), cell = node.querySelector(".browser");
      if (result && cell) mark(cell, result);
    }
  };
  shown(document.querySelectorAll("[data-log]"), (node) => node.dataset.log);
  shown(document.querySelectorAll("[data-published]"), (node) => `published-${node.dataset.published}`);
  for (const [id, result] of results) {
    if (result.status !== NOT_CHECKED) count.repeated++;
    if (result.status === FAIL) { count.failed++; differences.push({ id, index: null, reason: result.reason }); }
  }
}
