// Verifies what it is given, when it is told to: one JSON line with the inputs, then one line per round; it answers
// each with the CPU milliseconds that the round took.
import { createInterface } from "node:readline";
import { Buffer } from "node:buffer";
import qvl from "@phala/dcap-qvl";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { root, collateral, at } = JSON.parse((await lines.next()).value);
const verifier = qvl.QuoteVerifier.newWithRootCa(Buffer.from(root, "hex"));

for (;;) {
  const { value, done } = await lines.next();
  if (done) break;
  const quotes = JSON.parse(value).map((quote) => Buffer.from(quote, "hex"));
  const start = process.cpuUsage();
  for (const quote of quotes) verifier.verify(quote, collateral, at);
  const { user, system } = process.cpuUsage(start);
  console.log(JSON.stringify((user + system) / 1000));
}
