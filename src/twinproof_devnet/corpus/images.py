"""Evidence bundles whose image and registers do not belong together, and images that are proved. Kind `bundle`."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace

from twinproof_devnet.corpus.bundles import Instance, judged, refused
from twinproof_devnet.corpus.case import Case
from twinproof_devnet.corpus.rig import Json, Rig
from twinproof_devnet.firmware import Shape
from twinproof_devnet.image import Image

__all__ = ["image_cases"]

_STAGE = "dstack.image_registers"
_SHAPES = {
    "2-gib": Shape(memory_size=2 << 30, qemu_version="8.2.2"),
    "2.75-gib": Shape(memory_size=2816 << 20),
    "64-gib": Shape(cpu_count=16, memory_size=64 << 30),
}


def image_cases(rig: Rig) -> Iterator[Case]:
    """Shapes and images that are accepted, and one defect for each part of the measurement document."""
    good = Instance(rig)
    for name, shape in _SHAPES.items():
        other_shape = replace(good, boot=replace(good.boot, shape=shape))
        yield judged(rig, f"accept.image-{name}", f"a VM of another shape: {name}", other_shape.bundle())
    for name, image in (("dev", Image(dev=True)), ("legacy", Image(legacy=True))):
        other = replace(good, boot=replace(good.boot, image=image))
        yield judged(rig, f"accept.image-{name}", f"a {name} image, that no policy asks about", other.bundle())

    def unlike(name: str, description: str, bundle: Json) -> Case:
        return refused(rig, _STAGE, name, description, bundle)

    malicious = replace(good, boot=replace(good.boot, image=Image(backdoor=True)))
    yield unlike("kernel", "another kernel booted than the image's", malicious.bundle())
    for index, event in enumerate(good.measured):
        if event.imr == 2:  # command line and initrd
            changed = [*good.measured[:index], replace(event, digest=b"\x11" * 48), *good.measured[index + 1 :]]
            name = f"rtmr2-{event.payload.decode().split('::')[0].replace(' ', '-').lower()}"
            yield unlike(name, "another command line or initrd booted", good.with_events(changed).bundle())
    declared: dict[str, tuple[str, Json]] = {
        "memory": ("another memory size than the one measured", {"memory_size": 8 << 30}),
        "page-order": ("a QEMU version that adds pages in the other order", {"qemu_version": "8.2.2"}),
        "hash": ("the checksum file is another image's", {"os_image_hash": "11" * 32}),
        "document": ("the document is another image's", _files(good, document=Image(dev=True).document)),
        "line-twice": ("the document stands in the checksum file twice", _listed_twice(good)),
        "no-line": ("the checksum file does not list the document", _checksum_file(good, b"00  bzImage\n")),
        "trailing": ("a byte follows the document", _rewritten(good, good.boot.image.document + b"\x00")),
        "indefinite": ("the document is a map of indefinite length", _rewritten(good, b"\xbf\xff")),
    }
    for name, (description, members) in declared.items():
        yield unlike(name, description, good.bundle(vm_config=json.dumps(json.loads(good.boot.vm_config) | members)))


def _files(good: Instance, *, checksum_file: bytes | None = None, document: bytes | None = None) -> Json:
    files = json.loads(good.boot.vm_config)["tdx_measurement"]
    for name, data in (("checksum_file", checksum_file), ("measurement", document)):
        files[name] = files[name] if data is None else b64encode(data).decode()
    return {
        "os_image_hash": hashlib.sha256(b64decode(files["checksum_file"])).hexdigest(),
        "tdx_measurement": files,
    }


def _checksum_file(good: Instance, data: bytes) -> Json:
    return _files(good, checksum_file=data)


def _listed_twice(good: Instance) -> Json:
    return _checksum_file(good, good.boot.image.checksum_file * 2)


def _rewritten(good: Instance, document: bytes) -> Json:
    """A document that its checksum file lists: nothing but its own bytes are wrong."""
    checksum_file = f"{hashlib.sha256(document).hexdigest()}  measurement.tdx.cbor\n".encode()
    return _files(good, checksum_file=checksum_file, document=document)
