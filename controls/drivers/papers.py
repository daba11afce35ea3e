"""The certificates we show on encrypted buses: whether they still hold, and for how long. What to do about it, in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from twin.site import Connection, SecureConnect

RENEW_DAYS = 30  # a certificate that ends sooner is worth an alarm
_RENEW = "renew it with `wattproof certificate renew`"


@dataclass(frozen=True, slots=True)
class Papers:
    """Paths of an authority, our certificate from it, and its key."""

    authority: str
    certificate: str
    key: str


def papers_of(connections: Iterable[Connection], secure: SecureConnect) -> list[Papers]:
    """Every set of certificates that a site shows, each once."""
    shown: list[Connection | SecureConnect] = [secure, *connections]
    return list(dict.fromkeys(Papers(c.tls_ca, c.tls_cert, c.tls_key) for c in shown if c.tls_cert))


def notices(papers: Iterable[Papers], now: datetime) -> dict[str, str]:
    """For each certificate's file name what a person must do about it; empty where all is well. Reads files."""
    return {Path(one.certificate).name: _notice(one, now) for one in papers}


def _notice(papers: Papers, now: datetime) -> str:
    try:
        from rusty_bacnet import inspect_sc_pem_files  # here, because a platform without its wheel has no encrypted BACnet either
    except ImportError:
        return ""
    try:
        report = inspect_sc_pem_files(papers.certificate, peer_trust_path=papers.authority, private_key_path=papers.key)
    except (OSError, ValueError) as error:
        return f"{papers.certificate}: certificate, key or authority cannot be read ({error}); issue them again"
    if report.key_consistency == "mismatch":
        return f"{papers.key} is not the key of {papers.certificate}; put the right pair in place"
    if report.direct_issuer == "not_direct":
        return f"{papers.certificate} was not issued by {papers.authority}; take both from one authority"
    return _ending(papers, report.certificates[0].metadata, now)


def _ending(papers: Papers, stated: Any, now: datetime) -> str:
    if stated is None:
        return f"{papers.certificate}: the certificate cannot be read; issue it again"
    days = (stated.not_after_unix - now.timestamp()) / 86400
    if days < 0:
        return f"{papers.certificate} ended {-days:.0f} days ago; {_RENEW}"
    return f"{papers.certificate} ends in {days:.0f} days; {_RENEW}" if days < RENEW_DAYS else ""
