// Quote formats 3 (SGX), 4 (SGX, TDX) and 5 (by body type), as in Intel's DCAP documents. Integers are little-endian.

const BODY_SIZES = { 1: 384, 2: 584, 3: 648, 4: 885 };
const TD_MEMBERS = [
  ["tee_tcb_svn", 16], ["mrseam", 48], ["mrsignerseam", 48], ["seam_attributes", 8], ["td_attributes", 8], ["xfam", 8],
  ["mrtd", 48], ["mr_config_id", 48], ["mr_owner", 48], ["mr_owner_config", 48], ["rtmr0", 48], ["rtmr1", 48],
  ["rtmr2", 48], ["rtmr3", 48], ["report_data", 64],
];

function parseQuote(bytes) {
  const reader = new Reader(bytes, "quote");
  const version = reader.integer(2), keyType = reader.integer(2), tee = reader.integer(4);
  reader.take(4);
  const vendor = reader.take(16);
  reader.take(20);
  hold([3, 4, 5].includes(version), `quote version ${version}`);
  hold(tee === 0 || tee === 0x81, "unknown TEE type");
  let kind = tee ? 2 : 1;
  if (version === 5) {
    kind = reader.integer(2);
    hold(reader.integer(4) === BODY_SIZES[kind], "the body's size is not that of its type");
    hold((kind === 1) === (tee === 0), "the body of another TEE");
  }
  const body = reader.take(BODY_SIZES[kind]), signed = bytes.subarray(0, reader.at);
  const data = new Reader(reader.take(reader.integer(4)), "signature data");
  const signature = data.take(64), key = data.take(64);
  let certified = data;
  if (version >= 4) {
    hold(data.integer(2) === 6, "another certification data type than 6");
    certified = new Reader(data.take(data.integer(4)), "certification data");
    data.end();
  }
  const qeReport = certified.take(384), qeSignature = certified.take(64);
  const qeAuthData = certified.take(certified.integer(2));
  const certificationType = certified.integer(2), certificationData = certified.take(certified.integer(4));
  certified.end();
  return {
    version, keyType, tee, vendor, td: tee ? tdReport(body, kind) : null, enclave: tee ? null : enclaveReport(body),
    signed, signature, key, qe: enclaveReport(qeReport), qeReport, qeSignature, qeAuthData, certificationType,
    certificationData,
  };
}

function tdReport(body, kind) {
  const reader = new Reader(body, "TD report"), report = {};
  for (const [name, size] of TD_MEMBERS) report[name] = reader.take(size);
  report.tee_tcb_svn2 = kind > 2 ? reader.take(16) : null;
  return report;
}

function enclaveReport(body) {
  const word = (at, size) => new Reader(body.subarray(at, at + size), "report").integer(size);
  return {
    miscSelect: word(16, 4), attributes: body.subarray(48, 64), mrsigner: body.subarray(128, 160),
    isvProdId: word(256, 2), isvSvn: word(258, 2), report_data: body.subarray(320, 384),
  };
}
