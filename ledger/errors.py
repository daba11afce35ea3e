"""What the ledger refuses, by what went wrong.

LedgerError
├── FormatError        bytes that are not what they claim to be: not canonical, too long, unknown kind
├── KeyFileError       a key file that is absent, readable by others or of the wrong kind
├── RefusedError       an entry that may not enter the log: unknown, revoked or replayed source
├── ForkError          a witness or a backup knows another history of the same log
├── WitnessAwayError   the witness did not answer; sealing goes on, nothing is final meanwhile
└── VerificationError  evidence that does not hold, with the step's number and the bytes that show it
"""


class LedgerError(Exception):
    """Anything the ledger refuses with a clear sentence."""


class FormatError(LedgerError):
    """Bytes that are not canonical or not of the format they claim."""


class KeyFileError(LedgerError):
    """A private key file that cannot be used safely."""


class RefusedError(LedgerError):
    """An entry that may not enter the log; the message is the reason that gets sealed."""


class ForkError(LedgerError):
    """Two histories of one log; going on would give the witness evidence against its owner."""


class WitnessAwayError(LedgerError):
    """The witness cannot be reached now; try again at the next checkpoint."""


class VerificationError(LedgerError):
    """Evidence that does not hold. `step` is the number in the verifier's list, `entry` the leaf at fault."""

    def __init__(self, message: str, *, step: int = 0, entry: int | None = None, evidence: bytes = b"") -> None:
        super().__init__(message)
        self.step = step
        self.entry = entry
        self.evidence = evidence
