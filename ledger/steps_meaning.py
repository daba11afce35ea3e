"""Steps 10 to 12 of a verification: what contracts, claims and outside anchors make of the entries."""

from collections.abc import Mapping
from typing import Any

from ledger.errors import VerificationError
from ledger.inspection import Inspection, Leaf, NotApplicableError, facts_of, fault, views_of
from ledger.replay import Contracts, View

CLAIM_KINDS = ("emission.period", "saving.period")

# Step 10


def check_contracts(this: Inspection) -> str:
    """Step 10: replaying the contracts comes to the sealed states and alarms."""
    policies = this.group.policies
    if not policies:
        raise NotApplicableError("no contract is installed in this group")
    views = views_of(this, "contracts")
    if not this.whole:
        raise NotApplicableError("contracts are replayed from the first entry; ask for a whole bundle")
    known = this.by.rules.contracts
    for name, policy in policies.items():
        if name not in known or known[name].source_hash != policy["source"]:
            raise NotApplicableError(f"this verifier has not the code of contract {name} with source {policy['source'].hex()[:16]}")
    contracts = Contracts([known[name] for name in policies], policies)
    events, begun = 0, [0]
    for leaf in this.leaves:
        if leaf.entry.kind == "state":
            events += _check_said(leaf, contracts, policies, views[begun[-1] : leaf.number])
            begun.append(leaf.number + 1)
    return f"{len(policies)} contracts, the same state at {len(begun) - 1} state leaves, {events} events as sealed"


def _check_said(leaf: Leaf, contracts: Contracts, policies: Mapping[str, Any], views: list[View]) -> int:
    """One checkpoint: what the contracts say must be what was sealed, and their roots those in the state leaf."""
    said = [(event.kind, {**event.fields, "contract": name}) for name, event in contracts.feed(views)]
    # What an older version of a contract said stands under its own installation, which the newest replaced.
    sealed = [view for view in views if view.contract and view.number >= policies.get(view.contract, {"from": 0})["from"]]
    for number, view in enumerate(sealed):
        if number >= len(said) or (view.entry.kind, view.body.by_name()) != said[number]:
            expected = said[number][0] if number < len(said) else "nothing"
            message = f"entry {view.number}: {view.entry.kind} is not what the contract {view.contract} says ({expected})"
            raise VerificationError(message, entry=view.number, evidence=view.entry.encode())
    if len(said) > len(sealed):
        kind, facts = said[len(sealed)]
        raise fault(leaf, f"closes a checkpoint in which {kind} of contract {facts['contract']} was not sealed")
    roots = facts_of(leaf).get("contracts", {})
    for name, root in contracts.roots().items():
        if policies[name]["from"] <= leaf.number and roots.get(name) != root and (name in roots or any(view.is_input for view in views)):
            raise fault(leaf, f"seals another state of contract {name} than the entries give")
    return len(said)


# Step 11


def check_claims(this: Inspection) -> str:
    """Step 11: every claim is computed again from the entries it cites."""
    claims = [leaf for leaf in this.leaves if leaf.entry.kind in CLAIM_KINDS]
    if not claims:
        raise NotApplicableError("no claim is in this bundle")
    views = views_of(this, "claims")
    lines = []
    for view in views:
        if view.entry.kind not in CLAIM_KINDS:
            continue
        engine = this.by.rules.claims.get(view.entry.kind)
        if engine is None:
            raise NotApplicableError(f"this verifier has no engine for {view.entry.kind}")
        try:
            lines.append(engine(view, views))
        except VerificationError as error:
            raise VerificationError(f"entry {view.number}: {error}", entry=view.number, evidence=view.entry.encode()) from None
    return f"{len(lines)} claims: " + "; ".join(lines)


# Step 12


def check_anchors(this: Inspection) -> str:
    """Step 12: outside anchors; none is configured yet."""
    raise NotApplicableError("no outside anchor configured")
