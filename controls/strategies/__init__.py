"""strategies: each finds what it can act on through the twin and proposes requests. No building is named here."""
