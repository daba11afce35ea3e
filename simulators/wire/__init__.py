"""wire: simulated field devices on real sockets, holding the building's own schedule when nobody commands them."""
