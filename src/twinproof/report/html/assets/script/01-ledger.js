// What this page repeats, and what came of it. A step that throws has failed; one that cannot run says why.

class Failed extends Error {}
class Open extends Error {}

const PASS = "pass", FAIL = "fail", NOT_CHECKED = "not_checked";

class Ledger {
  constructor() { this.results = new Map(); }

  async step(id, run) {
    try {
      const value = await run();
      this.results.set(id, { status: PASS, reason: "" });
      return value;
    } catch (error) {
      const status = error instanceof Open ? NOT_CHECKED : FAIL;
      this.results.set(id, { status, reason: String(error.message || error) });
      return undefined;
    }
  }
}

function statusIn(results, id) { return (results.get(id) || { status: NOT_CHECKED }).status; }

// The ids among these that failed, and those that were repeated at all.
function sorted(results, ids) {
  return {
    failed: ids.filter((id) => statusIn(results, id) === FAIL),
    repeated: ids.filter((id) => statusIn(results, id) !== NOT_CHECKED),
  };
}

// What an earlier step should have given.
function need(value, what) {
  if (value === undefined || value === null) throw new Open(`needs ${what}`);
  return value;
}

function hold(condition, otherwise) {
  if (!condition) throw new Failed(otherwise);
}
