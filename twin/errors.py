"""The errors of the product, by who must act.

WattproofError
├── SiteError          the integrator: site files, models, points, addresses
│   └── ModelError     an IFC model that cannot be read
├── WireError          the technician: ports, devices, networks
├── StateError         the administrator: journal, lock, disk
├── MissingError       whoever set the machine up: something needed is not installed
├── AccessError        the user: not signed in, or not allowed
└── VerificationError  the inspector: evidence that does not hold

A message says what was expected, what came and what to do.
"""


class WattproofError(Exception):
    """Anything the product refuses with a clear sentence; `exit_code` is what a command ends with."""

    exit_code = 1


class SiteError(WattproofError):
    """The site's files are wrong; the integrator mends them."""


class ModelError(SiteError):
    """An IFC model cannot be read; the message says what to export again."""


class WireError(WattproofError):
    """A port, device or network is not usable; the technician looks at it."""


class StateError(WattproofError):
    """The journal, a lock or the disk is not usable; the administrator looks at it."""


class MissingError(WattproofError):
    """Something this machine needs is absent; the message names it and how to get it."""

    exit_code = 69


class AccessError(WattproofError):
    """The user is not signed in or may not do this."""


class VerificationError(WattproofError):
    """Evidence that does not hold; raised, never returned as False."""
