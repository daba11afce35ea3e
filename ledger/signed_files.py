"""Small files that an engineer signs: named texts in a canonical form, the key that signed them, and the signature."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ledger.errors import LedgerError
from ledger.errors import VerificationError as BadSignature
from ledger.keys import PublicKey
from twin import errors


def message(said: dict[str, Any], fields: Sequence[str]) -> bytes:
    """The bytes that are signed: the format's name, then the fields in order of name."""
    return f"{said['format']}\n".encode() + json.dumps({f: said[f] for f in fields}, ensure_ascii=False, sort_keys=True).encode()


def signature_file(path: Path, form: str, fields: Sequence[str], times: Sequence[str]) -> dict[str, Any]:
    """What such a file says, its signature not looked at yet; VerificationError (step 1) unless it is whole and of this form."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise errors.VerificationError(f"1. cannot be read ({error}); let an engineer run `wattproof sign`") from None
    if not isinstance(said, dict) or {k for k, v in said.items() if isinstance(v, str)} != {*fields, "signature"} or said["format"] != form:
        raise errors.VerificationError(f"1. expected the texts {', '.join(fields)} and signature, format {form!r}")
    for name in times:
        try:
            aware = datetime.fromisoformat(said[name]).tzinfo is not None
        except ValueError:
            aware = False
        if not aware:
            raise errors.VerificationError(f"1. {name} must be a time with its zone, got {said[name]!r}")
    return said


def must_be_signed(said: dict[str, Any], fields: Sequence[str]) -> None:
    """VerificationError (step 3) unless the signature is that of the file's own key over what it says."""
    try:
        PublicKey.from_text(said["key"]).verify(message(said, fields), bytes.fromhex(said["signature"]))
    except (BadSignature, LedgerError, ValueError):
        raise errors.VerificationError("3. the signature does not fit what the file says") from None


def public_keys(folder: Path) -> dict[str, str]:
    """Name -> public key of every NAME.pub."""
    return {path.stem: path.read_text(encoding="utf-8", errors="replace").strip() for path in sorted(folder.glob("*.pub"))}
