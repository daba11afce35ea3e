"""drivers: the field protocols behind one async contract. Only the cycle reaches them."""
