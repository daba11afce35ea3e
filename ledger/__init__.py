"""ledger: groups, identities, entries, proofs, checkpoints, witnesses, contracts and bundles.

It never talks to a device and never changes or deletes an entry.
"""
