"""The keys that somebody reads: dstack's app-compose members, and those of the Compose specification.

Source: dstack `AppCompose`; compose-spec.json, top level and services.
"""

from __future__ import annotations

import re

__all__ = ["APP_COMPOSE_KEYS", "SERVICE_KEYS", "TOP_LEVEL_KEYS"]

_WORDS = re.compile(r"\w+", re.ASCII)
APP_COMPOSE_KEYS = frozenset(
    _WORDS.findall(
        """
        allowed_envs bash_script docker_compose_file event_log_version features gateway_enabled init_script
        key_provider key_provider_id kms_enabled local_key_provider_enabled manifest_version name
        no_instance_id port_policy pre_launch_script public_logs public_sysinfo public_tcbinfo requirements
        runner salt secure_time snapshotter storage_fs swap_size tproxy_enabled verity_volumes
        """
    )
)
TOP_LEVEL_KEYS = frozenset(
    {"configs", "include", "models", "name", "networks", "secrets", "services", "version", "volumes"}
)
SERVICE_KEYS = frozenset(
    _WORDS.findall(
        """
        annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs
        container_name cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus
        cpuset credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search
        domainname entrypoint env_file environment expose extends external_links extra_hosts gpus group_add
        healthcheck hostname image init ipc isolation label_file labels links logging mac_address mem_limit
        mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable
        oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles provider
        pull_policy read_only restart runtime scale secrets security_opt shm_size stdin_open stop_grace_period
        stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volumes
        volumes_from working_dir
        """
    )
)
