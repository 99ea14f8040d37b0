// How up to date is the platform? SVNs against the levels in Intel's documents, and one status of all parts.

const CONFIGURATION = ["ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded"];

function svnLevel(levels, svn) {
  const level = levels.find(({ tcb }) => tcb.isvsvn <= svn);
  hold(level, `no TCB level for ISVSVN ${svn}`);
  return level;
}

async function checkPlatform(quote, pck, documents, ledger) {
  await ledger.step("dcap.platform_match", () => {
    const info = need(documents.info, "the TCB Info"), { platform } = need(pck, "a PCK chain that holds");
    hold(hex(platform.fmspc) === info.fmspc.toLowerCase(), "TCB Info of another FMSPC");
    hold(hex(platform.pceId) === info.pceId.toLowerCase(), "TCB Info of another PCE");
  });
  const parts = () => ({ info: need(documents.info, "the TCB Info"), td: need(need(quote, "a quote").td, "a TD report") });
  await ledger.step("dcap.tdx_module", () => { const { info, td } = parts(); checkModule(info, td); });
  const level = await ledger.step("dcap.tcb_level", () => {
    const info = need(documents.info, "the TCB Info"), { platform } = need(pck, "a PCK chain that holds");
    return platformLevel(info, platform, quote.td && quote.td.tee_tcb_svn);
  });
  const status = await ledger.step("dcap.tcb_status", () => {
    const qe = svnLevel(need(documents.identity, "the QE Identity").tcbLevels, quote.qe.isvSvn);
    const module = quote.td && moduleLevel(documents.info, quote.td.tee_tcb_svn);
    return converge(need(level, "a TCB level").tcbStatus, qe.tcbStatus, module ? module.tcbStatus : qe.tcbStatus);
  });
  await ledger.step("dcap.not_revoked", () => hold(need(status, "a TCB status") !== "Revoked", "the TCB is revoked"));
}

function moduleIdentity(info, svn) {
  if (svn[1] === 0) return info.tdxModule;
  const id = `TDX_${svn[1].toString(16).toUpperCase().padStart(2, "0")}`;
  const found = (info.tdxModuleIdentities || []).find((item) => item.id === id);
  hold(found, `${id} is a TDX module that Intel does not list`);
  return found;
}

function checkModule(info, td) {
  const identity = moduleIdentity(info, td.tee_tcb_svn);
  hold(hex(td.mrsignerseam) === identity.mrsigner.toLowerCase(), "the TDX module is signed by someone else");
  hold(zero(td.seam_attributes) && zero(unhex(identity.attributes)), "the TDX module runs with other attributes");
}

function moduleLevel(info, svn) {
  return svn[1] === 0 ? null : svnLevel(moduleIdentity(info, svn).tcbLevels, svn[0]);
}

function platformLevel(info, platform, svn) {
  const first = svn && svn[1] ? 2 : 0;
  const reaches = (have, need) => have.length === need.length && have.every((value, i) => value >= need[i]);
  const level = info.tcbLevels.find(({ tcb }) =>
    reaches(platform.components, tcb.sgxtcbcomponents.map((item) => item.svn)) && platform.pceSvn >= tcb.pcesvn &&
    (!svn || reaches([...svn].slice(first), tcb.tdxtcbcomponents.map((item) => item.svn).slice(first))));
  hold(level, "no TCB level covers this platform");
  return level;
}

function converge(platform, ...components) {
  if ([platform, ...components].includes("Revoked")) return "Revoked";
  if (!components.includes("OutOfDate")) return platform;
  return CONFIGURATION.includes(platform) ? "OutOfDateConfigurationNeeded" : "OutOfDate";
}
