"""What this version of the verifier can redo: every contract it knows, and every kind of claim it has an engine for."""

from ledger.carbon.claims import KIND, check_claim
from ledger.contracts.policies import contracts
from ledger.replay import Rules


def standard_rules() -> Rules:
    """Rules for steps 10 and 11 of the verification."""
    return Rules(contracts(), {KIND: check_claim})
