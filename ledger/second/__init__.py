"""second: verifiers that share no line with the first; each is one file that runs alone."""
