"""Trust roots: the Intel SGX Root CA, pinned byte for byte, or a certificate that the user names."""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from twinproof.dcap.certificates import UNREADABLE
from twinproof.errors import Malformed
from twinproof.wire import shown

__all__ = ["INTEL_SGX_ROOT_CA", "TrustRoot"]

_INTEL_SHA256 = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"


class TrustRoot(NamedTuple):
    """One self-signed certificate. Whatever is not Intel's, byte for byte, is reported as SIMULATED HARDWARE."""

    der: bytes
    name: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, hex."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def is_intel(self) -> bool:
        return self.fingerprint == _INTEL_SHA256

    @classmethod
    def from_pem_or_der(cls, data: bytes) -> TrustRoot:
        """One certificate, PEM or DER. Raises Malformed."""
        try:
            if b"-----BEGIN" in data:
                certificates = x509.load_pem_x509_certificates(data)
                if len(certificates) != 1:
                    raise Malformed("not one certificate", where="trust root", got=str(len(certificates)))
                from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415  (loads SSH)

                certificate = certificates[0]
                data = certificate.public_bytes(Encoding.DER)
            else:
                certificate = x509.load_der_x509_certificate(data)
            names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        except UNREADABLE as error:
            raise Malformed("not an X.509 certificate", where="trust root", expected="PEM or DER") from error
        return cls(data, shown(str(names[0].value)) if names else "unnamed root")


# The certificate that Intel publishes at certificates.trustedservices.intel.com, valid 2018-05-21 to 2049-12-31.
_INTEL_DER = base64.b64decode(
    "MIICjzCCAjSgAwIBAgIUImUM1lqdNInzg7SVUr9QGzknBqwwCgYIKoZIzj0EAwIwaDEaMBgGA1UEAwwRSW50ZWwgU0dYIFJvb3Qg"
    "Q0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJBgNVBAYT"
    "AlVTMB4XDTE4MDUyMTEwNDUxMFoXDTQ5MTIzMTIzNTk1OVowaDEaMBgGA1UEAwwRSW50ZWwgU0dYIFJvb3QgQ0ExGjAYBgNVBAoM"
    "EUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJBgNVBAYTAlVTMFkwEwYHKoZI"
    "zj0CAQYIKoZIzj0DAQcDQgAEC6nEwMDIYZOj/iPWsCzaEKi71OiOSLRFhWGjbnBVJfVnkY4u3IjkDYYL0MxO4mqsyYjlBalTVYxF"
    "P2sJBK5zlKOBuzCBuDAfBgNVHSMEGDAWgBQiZQzWWp00ifODtJVSv1AbOScGrDBSBgNVHR8ESzBJMEegRaBDhkFodHRwczovL2Nl"
    "cnRpZmljYXRlcy50cnVzdGVkc2VydmljZXMuaW50ZWwuY29tL0ludGVsU0dYUm9vdENBLmRlcjAdBgNVHQ4EFgQUImUM1lqdNInz"
    "g7SVUr9QGzknBqwwDgYDVR0PAQH/BAQDAgEGMBIGA1UdEwEB/wQIMAYBAf8CAQEwCgYIKoZIzj0EAwIDSQAwRgIhAOW/5QkR+S9C"
    "iSDcNoowLuPRLsWGf/Yi7GSX94BgwTwgAiEA4J0lrHoMs+Xo5o/sX6O9QWxHRAvZUGOdRQ7cvqRXaqI="
)

INTEL_SGX_ROOT_CA = TrustRoot(_INTEL_DER, "Intel SGX Root CA")
