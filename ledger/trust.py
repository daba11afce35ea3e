"""What an inspector holds before he opens any bundle: the group's id and the public keys he got from the government itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.errors import FormatError
from ledger.founding import GOVERNMENT, OWNER, WitnessKey
from ledger.group import Group
from ledger.keys import PublicKey

TRUST_FORMAT = "wattproof trust 1"
_ASK = "ask the government for one: wattproof group trust NAME --out FILE"


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys one group is checked against. They never come from the evidence itself."""

    group: bytes
    name: str
    owner: str
    owner_key: PublicKey
    government: str
    government_key: PublicKey
    log_key: PublicKey
    witnesses: tuple[WitnessKey, ...]
    witnesses_needed: int

    @classmethod
    def of(cls, group: Group) -> "Trust":
        """What the founding of `group` says; worth as much as the place `group` was read from."""
        owner, government = group.members[OWNER], group.members[GOVERNMENT]
        founding = group.founding
        return cls(
            group.id,
            founding.name,
            owner.name,
            owner.key,
            government.name,
            government.key,
            group.log,
            group.witnesses.keys,
            group.witnesses.needed,
        )

    def to_json(self) -> str:
        facts = {
            "format": TRUST_FORMAT,
            "group": self.group.hex(),
            "name": self.name,
            "owner": {"name": self.owner, "key": self.owner_key.text},
            "government": {"name": self.government, "key": self.government_key.text},
            "log": self.log_key.text,
            "witnesses": [{"name": witness.name, "key": witness.key.text} for witness in self.witnesses],
            "witnesses_needed": self.witnesses_needed,
        }
        return json.dumps(facts, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Trust":
        """Read a trust file; FormatError says what is wrong with it."""
        try:
            facts = json.loads(text)
            if not isinstance(facts, dict) or "format" not in facts:
                raise FormatError(f"not a trust file: expected format {TRUST_FORMAT!r}, got another kind of file; {_ASK}")
            if facts["format"] != TRUST_FORMAT:
                raise FormatError(f"expected a file of format {TRUST_FORMAT!r}, got {facts['format']!r}")
            return cls._from_facts(facts)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FormatError(f"not a trust file ({type(error).__name__}: {str(error)[:100]}); {_ASK}") from None

    @classmethod
    def _from_facts(cls, facts: Mapping[str, Any]) -> "Trust":
        return cls(
            bytes.fromhex(facts["group"]),
            facts["name"],
            facts["owner"]["name"],
            PublicKey.from_text(facts["owner"]["key"]),
            facts["government"]["name"],
            PublicKey.from_text(facts["government"]["key"]),
            PublicKey.from_text(facts["log"]),
            tuple(WitnessKey(witness["name"], PublicKey.from_text(witness["key"])) for witness in facts["witnesses"]),
            int(facts["witnesses_needed"]),
        )
