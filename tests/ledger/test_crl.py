"""The X.509 list of a group's revocations: what the log says, in the words of other tools."""

import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ledger.crl import ended_certificates, revocation_list
from ledger.custody import resume_device, revoke_device, rotate_device, suspend_device
from ledger.keys import read_signer

METER, GATEWAY = "demo:em_main", "demo:gateway"


@pytest.fixture
def listed(house):
    """The list of a house, made again whenever it is asked for."""

    def made():
        log = house.open()
        der = revocation_list(log, read_signer(house.folder / "keys" / "authority.key"), house.now)
        return x509.load_der_x509_crl(der), ended_certificates(log)

    return made


def reasons(crl):
    return sorted(revoked.extensions.get_extension_for_class(x509.CRLReason).value.reason.value for revoked in crl)


def test_a_device_s_life_shows_in_the_list(house, listed):
    assert listed()[1] == []
    suspend_device(house.folder, METER, "test", house.wait(1))
    assert reasons(listed()[0]) == ["certificateHold"]
    resume_device(house.folder, METER, "test", house.wait(1))
    assert reasons(listed()[0]) == []
    rotate_device(house.folder, METER, house.wait(1))
    revoke_device(house.folder, METER, "was opened", house.wait(1))

    crl, ended = listed()

    assert reasons(crl) == ["privilegeWithdrawn", "superseded"]
    assert [e.source for e in ended] == [METER, METER]
    assert ended[0].serial != ended[1].serial
    assert ended[1].at == house.now
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert number == house.log.size() > ended[1].entry
    authority = x509.load_der_x509_certificate(house.group.founding.authority)
    assert crl.is_signature_valid(authority.public_key())
    assert crl.next_update_utc - crl.last_update_utc == timedelta(days=7)


def test_openssl_reads_the_list_and_trusts_its_signature(house, listed, tmp_path):
    revoke_device(house.folder, GATEWAY, "stolen", house.wait(1))
    (tmp_path / "list.pem").write_bytes(listed()[0].public_bytes(Encoding.PEM))
    authority = x509.load_der_x509_certificate(house.group.founding.authority)
    (tmp_path / "authority.pem").write_bytes(authority.public_bytes(Encoding.PEM))

    command = ["openssl", "crl", "-in", "list.pem", "-CAfile", "authority.pem", "-noout"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "verify OK" in said.stdout + said.stderr
