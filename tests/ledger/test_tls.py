"""The site's own authority for encrypted field buses, and the command that asks it."""

import ipaddress
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store

from ledger.errors import KeyFileError
from ledger.tls import OVERLAP, ROLE_MAX, SiteAuthority, role_of
from twin.errors import StateError
from twin.secure_connect import Member, in_force, node_uuid, node_vmac, read_members, vmac_bytes

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path):
    return SiteAuthority(tmp_path / "tls", "house")


def test_a_certificate_is_for_its_hosts_and_under_the_authority(authority):
    authority.issue("hub", ["10.0.0.2", "hub.house"], NOW)

    certificate = x509.load_pem_x509_certificate((authority.folder / "hub.pem").read_bytes())
    root = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    for subject in (x509.IPAddress(ipaddress.ip_address("10.0.0.2")), x509.DNSName("hub.house")):
        PolicyBuilder().store(Store([root])).time(NOW.replace(tzinfo=None)).build_server_verifier(subject).verify(certificate, [])
    assert (authority.folder / "hub.key").stat().st_mode & 0o077 == 0
    assert (authority.folder / "authority.key").stat().st_mode & 0o077 == 0


def test_a_modbus_role_is_stated_as_the_specification_writes_it_and_outlives_a_renewal(authority):
    authority.issue("gateway", ["10.0.0.1"], NOW, role="Operator")
    authority.issue("meter", ["10.0.0.3"], NOW)

    def stated(node) -> str:
        certificate = x509.load_pem_x509_certificate((authority.folder / f"{node}.pem").read_bytes())
        return role_of(certificate.public_bytes(serialization.Encoding.DER))

    assert (stated("gateway"), stated("meter")) == ("Operator", "")
    authority.renew("gateway", NOW + timedelta(days=300))
    assert stated("gateway") == "Operator"
    with pytest.raises(KeyFileError, match="a role must be at most 64 letters"):
        authority.issue("other", [], NOW, role="x" * (ROLE_MAX + 1))


def test_an_identity_outlives_its_certificates(authority):
    first = authority.issue("ahu_1", [], NOW)
    second = authority.renew("ahu_1", NOW + timedelta(days=300))

    identity = node_uuid("house", "ahu_1")
    assert (first.uuid, first.vmac) == (second.uuid, second.vmac) == (str(identity), node_vmac(identity))
    assert first.sha256 != second.sha256
    assert int(first.vmac[:2], 16) & 3 == 2  # locally administered, not a group


def test_a_renewed_nodes_old_certificate_counts_for_a_month_and_no_longer(authority):
    authority.issue("ahu_1", [], NOW)
    authority.renew("ahu_1", NOW + timedelta(days=100))

    def count(days):
        return len(in_force(read_members(authority.folder), NOW + timedelta(days=days))["ahu_1"])

    assert (count(100), count(100 + OVERLAP.days - 1), count(100 + OVERLAP.days + 1)) == (2, 2, 1)


def test_a_revoked_node_is_on_the_roll_but_not_in_force_and_its_name_is_free_again(authority):
    authority.issue("ahu_1", [], NOW)
    authority.revoke("ahu_1", NOW)

    assert in_force(read_members(authority.folder), NOW) == {}
    assert [m.revoked for m in read_members(authority.folder)] == ["2026-03-01T12:00:00+00:00"]
    authority.issue("ahu_1", [], NOW)
    assert len(in_force(read_members(authority.folder), NOW)["ahu_1"]) == 1


def test_what_cannot_be_is_said(authority):
    with pytest.raises(KeyFileError, match="no certificate of this site; there are none"):
        authority.renew("ahu_1", NOW)
    authority.issue("ahu_1", [], NOW)
    with pytest.raises(KeyFileError, match="has a certificate already"):
        authority.issue("ahu_1", [], NOW)
    with pytest.raises(KeyFileError, match="lower-case"):
        authority.issue("../x", [], NOW)
    (authority.folder / "members.json").write_text('[{"name": "x"}]')
    with pytest.raises(StateError, match="not a roll of certificates"):
        read_members(authority.folder)


WRONG = ["", "02:00", "020000000010", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "zz:00:00:00:00:01", "02:00:00:00:00:10:11"]


@pytest.mark.parametrize("text", WRONG)
def test_a_vmac_is_six_bytes_and_nobodys_reserved_one(text):
    with pytest.raises(ValueError, match="vmac must be six bytes"):
        vmac_bytes(text)


def test_a_member_checks_itself():
    good = {"name": "a", "sha256": "00" * 32, "until": NOW.isoformat(), "uuid": str(node_uuid("house", "a")), "vmac": "02:00:00:00:00:10"}
    assert Member(**good).name == "a"
    for key, value, said in (
        ("sha256", "00", "32 bytes"),
        ("until", "soon", "isoformat"),
        ("uuid", "me", "UUID"),
        ("vmac", "x", "six bytes"),
    ):
        with pytest.raises(ValueError, match=said):
            Member(**{**good, key: value})


def test_the_command_issues_lists_renews_and_revokes(tmp_path):
    def certificate(*words):
        line = [sys.executable, "-m", "twin", "certificate", *words, "--state", str(tmp_path), "--json"]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    code, row = certificate("issue", "corner_clinic", "gateway", "--host", "127.0.0.1", "--days", "20")
    assert (code, row["name"], Path(row["key"]).exists()) == (0, "gateway", True)
    assert certificate("issue", "corner_clinic", "gateway")[0] != 0
    assert certificate("renew", "corner_clinic", "gateway")[1]["uuid"] == row["uuid"]
    assert [bool(m["revoked"]) for m in certificate("list", "corner_clinic")[1]["certificates"]] == [False, False]
    assert len(certificate("revoke", "corner_clinic", "gateway")[1]["revoked"]) == 2
    code, words = certificate("revoke", "corner_clinic", "gateway")
    assert (code != 0, "Traceback" in words, "no certificate" in words) == (True, False, True)
