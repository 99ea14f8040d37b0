// Starts a re-check and shows how far it is. Whatever an instance said is text here, never markup.
(() => {
  "use strict";
  const find = (id) => document.getElementById(id);
  const button = find("recheck-start"), token = find("recheck-token"), bar = find("recheck-bar"), say = find("recheck-say");
  const EVERY = 500;  // milliseconds

  function show(found) {
    find("recheck-rows").replaceChildren(...found.instances.map((one) => {
      const row = document.createElement("tr"), name = document.createElement("th"), text = document.createElement("td");
      const mark = document.createElement("span"), words = { pass: "✓ pass", warn: "! warn", fail: "✗ FAIL", not_checked: "○ not checked", info: "…" };
      for (const [node, role] of [[row, "row"], [name, "rowheader"], [text, "cell"]]) node.setAttribute("role", role);
      name.scope = "row";
      name.textContent = one.name;
      mark.className = "mark";
      mark.dataset.status = one.status;
      mark.textContent = words[one.status] || one.status;
      row.dataset.status = one.status;
      text.dataset.label = "Result";
      text.append(mark, ` ${one.text} `);
      if (one.entry !== null) {
        const link = document.createElement("a");
        link.href = `/entries/${Number(one.entry)}`;
        link.textContent = `Entry ${Number(one.entry)}`;
        text.append(link);
      }
      row.append(name, text);
      return row;
    }));
    bar.max = found.total;
    bar.value = found.done;
    bar.hidden = found.state !== "running";
    button.disabled = found.state === "running";
    document.body.dataset.recheck = found.state;
    const error = found.error ? ` ${found.error}` : "";
    if (found.state === "running") say.textContent = `${found.done} of ${found.total} instances answered.`;
    if (found.state === "done") say.textContent = `${found.outcome} (exit code ${found.exit_code}).${error}`;
  }

  async function follow() {
    for (;;) {
      const answer = await fetch("/recheck?format=json", { cache: "no-store" });
      const found = await answer.json();
      show(found);
      if (found.state !== "running") return;
      await new Promise((resume) => setTimeout(resume, EVERY));
    }
  }

  async function start(event) {
    event.preventDefault();
    say.textContent = "Asking…";
    button.disabled = true;
    try {
      const headers = { Authorization: `Bearer ${token.value.trim()}` };
      const answer = await fetch("/recheck", { method: "POST", headers });
      if (answer.status === 202 || answer.status === 409) return await follow();
      const { error } = await answer.json();
      say.textContent = `Not started: ${error}.`;
    } catch (error) {
      say.textContent = `Not started: ${error.message || error}`;
    } finally {
      button.disabled = document.body.dataset.recheck === "running";
    }
  }

  const given = /^#token=([\w-]+)$/.exec(location.hash);
  if (given) {
    token.value = given[1];
    history.replaceState(null, "", location.pathname);
  }
  find("recheck-form").addEventListener("submit", start);
  find("recheck-form").hidden = false;
  say.textContent = "Nobody has asked since this server began.";
  follow().catch(() => { say.textContent = "The server does not answer."; });
})();
