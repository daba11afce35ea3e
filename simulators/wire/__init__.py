"""wire: simulated field devices on real sockets, holding the building's own schedule when nobody commands them.

`FieldDevices` (devices.py) makes them from a point book and a site's connections alone, for any site.
It never thinks: what to publish comes from the plant, what to obey comes from whoever wrote over the wire.
"""
