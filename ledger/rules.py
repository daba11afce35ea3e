"""The contracts and claims that this version can redo: the verifier and the recorder take them from here."""

from ledger.carbon.claims import KIND, check_claim
from ledger.contracts.policies import contracts
from ledger.replay import Rules

RULES = Rules(contracts(), {KIND: check_claim})
"""Contracts by name and claims by entry kind, for steps 10 and 11 of the verification."""
