// Between the instances: what has to be equal, and what has to differ. Values come from what this page read itself.

function comparable(found) {
  const { quote, pck, boot, statement } = found, td = quote && quote.td;
  const text = (bytes) => (bytes && bytes.length ? hex(bytes) : null);
  const event = (name) => boot && text(boot.get(name));
  return {
    "compare.compose_hash": event("compose-hash"), "compare.os_image": event("os-image-hash"),
    "compare.mrtd": td && text(td.mrtd), "compare.rtmr1": td && text(td.rtmr1), "compare.rtmr2": td && text(td.rtmr2),
    "compare.app_id": event("app-id"), "compare.key_provider": boot && provider(boot.get("key-provider")),
    "compare.td_attributes": td && text(td.td_attributes), "compare.mrsignerseam": td && text(td.mrsignerseam),
    "compare.version": statement && statement.version, "compare.git_sha": statement && statement.git_sha,
    "compare.machine": pck && text(pck.platform.ppid), "compare.instance_id": event("instance-id"),
    "compare.nonce": statement && statement.eat_nonce,
  };
}

function provider(payload) {
  const { name, id } = keyProvider(payload);
  return `${name}:${id}`;
}

const MUST_DIFFER = ["compare.machine", "compare.instance_id", "compare.nonce"];

async function checkBetween(instances, ledger) {
  const values = instances.map(comparable);
  for (const id of Object.keys(values[0] || {})) {
    await ledger.step(id, () => {
      const all = values.map((value) => need(value[id], "this value from every instance"));
      const different = new Set(all).size;
      if (MUST_DIFFER.includes(id)) hold(different === all.length, "two instances have the same");
      else hold(different === 1, "the instances differ");
    });
  }
}
