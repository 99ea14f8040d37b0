"""The declared shape is the host's word, read strictly all the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_boot import IMAGE, VM_CONFIG
from twinproof.dstack.vm_config import parse_vm_config
from twinproof.errors import Malformed


def test_the_declared_shape_is_told_in_words() -> None:
    vm = parse_vm_config(VM_CONFIG)
    assert (vm.os_image_hash, vm.cpu_count, vm.memory_size) == (IMAGE, 2, 2 << 30)
    assert vm.shape == "2 vCPU, 2 GiB, QEMU 8.2.2"


def test_nothing_declared_is_said_too() -> None:
    assert parse_vm_config("{}").shape == "no shape declared"
    assert parse_vm_config('{"os_image_hash":"","cpu_count":null}').os_image_hash is None


def test_a_sys_config_is_unwrapped_and_its_mr_config_kept() -> None:
    vm = parse_vm_config(json.dumps({"kms_urls": [], "vm_config": VM_CONFIG, "mr_config": '{"version":3}'}))
    assert (vm.text, vm.os_image_hash, vm.mr_config) == (VM_CONFIG, IMAGE, '{"version":3}')


def test_only_one_wrapping_is_unwrapped() -> None:
    with pytest.raises(Malformed, match="inside a sys-config"):
        parse_vm_config(json.dumps({"vm_config": json.dumps({"vm_config": "{}"})}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"os_image_hash":"00"}',
        '{"os_image_hash":1}',
        '{"cpu_count":-1}',
        '{"cpu_count":1.5}',
        '{"cpu_count":true}',
        '{"memory_size":"2G"}',
        '{"memory_size":99999999999999999999}',
        '{"vm_config":{}}',
        '{"vm_config":"x"}',
        '{"image":7}',
        '{"qemu_single_pass_add_pages":1}',
        '{"tdx_measurement":""}',
        '{"tdx_measurement":{"checksum_file":""}}',
        '{"tdx_measurement":{"checksum_file":"","measurement":7}}',
        '{"cpu_count":1,"cpu_count":2}',
    ],
)
def test_an_odd_configuration_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_vm_config(text)


@given(st.text(max_size=100))
def test_random_text_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_vm_config("x" + text)
