"""The contracts and claims that this version can redo: the verifier and the recorder take them from here."""

from ledger.replay import Rules

RULES = Rules()
"""Contracts by name and claims by entry kind; an empty table makes verification steps 10 and 11 say why they do not apply."""
