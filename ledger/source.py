"""A source: whoever makes entries, one after the other, each naming the one before."""

import hmac
import os
from collections.abc import Iterable, Mapping
from datetime import datetime

from ledger.cbor import Value
from ledger.entry import NO_HASH, SECRET_BYTES, Body, Entry, Signed, Signer, ms
from ledger.errors import FormatError

RECORD_BYTES_MAX = 768  # what a secure meter shows in its registers: 384 of 16 bits

Fields = Mapping[str, Value] | Iterable[tuple[str, Value]]


class Source:
    """Makes signed entries with numbers that have no gaps. After a restart give it the last `seq` and `prev` that were kept."""

    def __init__(
        self,
        signer: Signer,
        group: bytes,
        name: str,
        seq: int = 0,
        prev: bytes = NO_HASH,
        *,
        simulated: bool = False,
        secret: bytes | None = None,
    ) -> None:
        self.signer = signer
        self.group = group
        self.name = name
        self.seq = seq
        self.prev = prev
        self.simulated = simulated
        self._secret = secret or os.urandom(32)

    def entry(self, kind: str, fields: Fields, at: datetime, wall: datetime) -> Signed:
        """The next signed entry with its body; `at` is the site's time, `wall` the calendar's."""
        body = Body.of(fields, self._body_secret(self.seq + 1))
        draft = Entry(
            self.group, kind, self.name, self.seq + 1, self.prev, ms(at), ms(wall), self.simulated, body.root, (self.signer.key_id,)
        )
        signed = Signed(draft.signed_by(self.signer), body)
        self.seq, self.prev = signed.entry.seq, signed.entry.hash
        return signed

    def record(self, kind: str, fields: Fields, at: datetime, wall: datetime) -> bytes:
        """The next entry with its body as one complete record, short enough for a meter's registers."""
        kept = self.seq, self.prev
        record = self.entry(kind, fields, at, wall).encode()
        if len(record) > RECORD_BYTES_MAX:
            self.seq, self.prev = kept
            raise FormatError(f"{self.name}: a record has at most {RECORD_BYTES_MAX} bytes, got {len(record)}; sign fewer fields")
        return record

    def _body_secret(self, seq: int) -> bytes:
        return hmac.digest(self._secret, self.prev + seq.to_bytes(8, "big"), "sha256")[:SECRET_BYTES]
