"""controls: read, think, rule and act. Drivers, scanning, strategies, the guard and the arbiter.

It never waits for the ledger, never draws a page and never sees a plant.
"""
