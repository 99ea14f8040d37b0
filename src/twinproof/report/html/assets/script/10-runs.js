// What runs? The event log replayed into the quote's registers, and the compose file that it measured.

const RUNTIME_EVENT = 0x08000001;
const ONCE = ["app-id", "compose-hash", "instance-id", "boot-mr-done", "key-provider"];

async function eventDigest(event) {
  if (event.imr !== 3) return unhex(event.digest);
  const version = event.version || 1;
  if (version === 2) {
    const members = { name: event.event, payload: event.event_payload.toLowerCase(), type: RUNTIME_EVENT };
    return digest("SHA-384", utf8(JSON.stringify(members)));
  }
  hold(!event.event.includes(":"), "an ambiguous event name");
  const kind = new Uint8Array(4);
  new DataView(kind.buffer).setUint32(0, RUNTIME_EVENT, true);
  return digest("SHA-384", join(kind, utf8(`:${event.event}:`), unhex(event.event_payload)));
}

async function replay(log, imr) {
  let register = new Uint8Array(48);
  for (const event of log) {
    if (event.imr !== imr) continue;
    const measured = await eventDigest(event);
    hold(measured.length === 48, "a digest of another length");
    register = await digest("SHA-384", join(register, measured));
  }
  return register;
}

async function checkRuns(carried, td, ledger) {
  const log = await ledger.step("dstack.event_log_format", () => {
    const events = JSON.parse(need(carried.event_log, "an event log"));
    for (const event of events) {
      hold((event.event_type === RUNTIME_EVENT) === (event.imr === 3), "an event whose type belongs to another register");
    }
    return events;
  });
  await ledger.step("dstack.event_digests", async () => {
    for (const event of need(log, "an event log")) {
      if (event.imr === 3 && event.digest) {
        hold(event.digest.toLowerCase() === hex(await eventDigest(event)), `the digest of ${event.event} is another one`);
      }
    }
  });
  await ledger.step("dstack.rtmr3_replay", async () => {
    hold(same(await replay(need(log, "an event log"), 3), need(td, "a TD report").rtmr3), "the events do not lead to RTMR3");
  });
  await ledger.step("dstack.rtmr0_2_replay", async () => {
    const events = need(log, "an event log");
    if (!events.some((event) => event.imr < 3)) throw new Open("the log holds no firmware events");
    for (const imr of [0, 1, 2]) {
      hold(same(await replay(events, imr), need(td, "a TD report")[`rtmr${imr}`]), `the events do not lead to RTMR${imr}`);
    }
  });
  const boot = await ledger.step("dstack.boot_events", () => bootEvents(need(log, "an event log")));
  await checkCompose(carried, boot, td, ledger);
  return boot;
}

function bootEvents(log) {
  const runtime = log.filter((event) => event.imr === 3), names = runtime.map((event) => event.event);
  const end = names.indexOf("system-ready");
  hold(end >= 0 && end === names.lastIndexOf("system-ready"), "not exactly one system-ready event");
  const found = new Map();
  for (const event of runtime.slice(0, end)) {
    hold(!found.has(event.event) || !ONCE.includes(event.event), `two ${event.event} events before system-ready`);
    found.set(event.event, unhex(event.event_payload));
  }
  for (const name of ONCE) hold(found.has(name), `no ${name} event before system-ready`);
  return found;
}

async function checkCompose({ app_compose: text, mr_config: document }, boot, td, ledger) {
  await ledger.step("dstack.compose_hash", async () => {
    const hashed = await digest("SHA-256", utf8(need(text, "the app-compose text")));
    hold(same(hashed, need(boot, "boot events").get("compose-hash")), "this app-compose text is not the one that was measured");
  });
  await ledger.step("dstack.mr_config_id", async () => {
    const value = need(td, "a TD report").mr_config_id, measured = need(boot, "boot events").get("compose-hash");
    if (zero(value)) throw new Open("MR_CONFIG_ID is zero: this host does not set it");
    const plain = same(value, join(measured, new Uint8Array(16)));
    if (!plain && value[0] === 2) return configV2(value, boot);
    if (!plain && value[0] === 3) return configV3(value, measured, document);
    const marked = value[0] === 1 && same(value.subarray(1), join(measured, new Uint8Array(15)));
    hold(plain || marked, "MR_CONFIG_ID names another compose file");
  });
}

// Name and id, as the boot event has them.
function keyProvider(payload) { return JSON.parse(new TextDecoder().decode(payload)); }

const PROVIDER_KINDS = { none: 0, "local-sgx": 1, kms: 2, tpm: 3 };

function configV2(value, boot) {
  const { name, id } = keyProvider(boot.get("key-provider")), app = boot.get("app-id");
  const measured = keccak256(join(boot.get("compose-hash"), app, new Uint8Array([PROVIDER_KINDS[name]]), unhex(id)));
  if (same(value, join(new Uint8Array([2]), measured, new Uint8Array(15)))) return;
  if (name !== "kms" && same(app, boot.get("compose-hash").subarray(0, app.length))) {
    throw new Open("without a KMS the app id in it may be another than the measured one");
  }
  throw new Failed("MR_CONFIG_ID names another compose file, app id or key provider");
}

async function configV3(value, measured, text) {
  const hashed = await digest("SHA-256", join(utf8("dstack-mr-config-v3:\0"), utf8(need(text, "the document of version 3"))));
  hold(same(value, join(new Uint8Array([3]), hashed, new Uint8Array(15))), "not the document that MR_CONFIG_ID commits to");
  hold(JSON.parse(text).compose_hash === hex(measured), "the document of MR_CONFIG_ID names another compose file");
}
