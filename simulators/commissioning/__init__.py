"""Commissioning of a simulated site: a programme of trials over the real wires, what was seen, and what it means."""
