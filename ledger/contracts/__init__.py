"""contracts: pure policies over sealed entries that anyone can replay to the same state.

A contract has `begin(parameters) -> state` and `apply(state, entry) -> Verdict`: whole numbers and text only, no clock, no input or output.
"""
