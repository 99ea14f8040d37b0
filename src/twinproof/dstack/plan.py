"""The steps of the second question, what runs?, in the order in which a reader meets them."""

from __future__ import annotations

from twinproof.verdict import Step

__all__ = ["NO_EVENT_LOG", "PLAN"]

NO_EVENT_LOG = "no event log in this evidence"

PLAN = (
    Step(
        "dstack.event_log_format",
        "the event log is well formed: one list, known registers, no ambiguous names",
        "two readers of a loose format can be shown two different boots",
        "dstack cc-eventlog: TdxEvent",
    ),
    Step(
        "dstack.event_digests",
        "every digest the log supplies for RTMR3 is the digest of its event",
        "digests that are believed instead of recomputed let any payload stand beside a real register",
        "dstack cc-eventlog: RuntimeEvent digest, versions 1 and 2",
    ),
    Step(
        "dstack.rtmr3_replay",
        "the runtime events lead exactly to the quote's RTMR3",
        "events that the hardware never measured could name any app, compose file or key provider",
        "Intel TDX Module ABI: TDG.MR.RTMR.EXTEND; dstack attestation",
    ),
    Step(
        "dstack.rtmr0_2_replay",
        "the firmware's events lead exactly to the quote's RTMR0, RTMR1 and RTMR2",
        "the log would describe another firmware, kernel or command line than the one that booted",
        "TCG PC Client Platform Firmware Profile; Intel TDX Module ABI",
    ),
    Step(
        "dstack.boot_events",
        "the boot events are those of a known guest, in order, once each, before system-ready",
        "the app may extend RTMR3 too: its events could pass for the system's",
        "dstack-util system_setup, by guest version",
    ),
    Step(
        "dstack.compose_hash",
        "the app-compose text is the one that was measured",
        "the compose file shown to the reader could be another than the one that runs",
        "dstack: compose_hash = SHA-256 of the exact app-compose.json bytes",
    ),
    Step(
        "dstack.mr_config_id",
        "MR_CONFIG_ID, set before the VM started, names the same compose file",
        "the guest refuses to boot when it differs, so this holds even if something extended RTMR3 wrongly",
        "dstack: MR_CONFIG_ID versions 1 to 3",
    ),
    Step(
        "dstack.app_id",
        "the app id is one that this boot could have",
        "the app id decides which keys the KMS hands out; it says nothing about the code",
        "dstack-util system_setup: app-id event",
    ),
    Step(
        "dstack.os_image_hash",
        "the image the KMS allowed and the image the VM's configuration names are the same",
        "the host names the image; it means something only where the registers or a pin agree",
        "dstack: os-image-hash event, vm_config.os_image_hash",
    ),
    Step(
        "dstack.image_registers",
        "the registers are those that this image produces",
        "a register that equals its neighbour's proves nothing when both booted the same malicious image",
        "dstack-mr: measurement document of the image (TDX lite)",
    ),
    Step(
        "dstack.key_provider",
        "the keys came from the kind of provider, and the very one, that the compose file asks for",
        "a provider of the host's choice could hand out keys that others know",
        "dstack: key-provider event, app-compose key_provider and key_provider_id",
    ),
    Step(
        "dstack.unmeasured_inputs",
        "nothing outside the measured text decides what runs",
        "a measured text that names an image by tag runs whatever the registry serves that day",
        "dstack app-compose; docker compose file",
    ),
    Step(
        "dstack.guest_claims",
        "what the guest agent says about itself does not contradict the quote",
        "an agent that says something else than its own hardware is either broken or somebody else's",
        "dstack guest-agent: Info, Worker.Info",
    ),
)
