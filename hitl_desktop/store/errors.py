"""What can be wrong with the store on this machine; each message is one sentence fit for the screen.

StoreError
├── NoKeyError        there is nothing to keep a key with, or what has it is locked: nothing is kept on disk
├── WrongKeyError     the key does not open the file
├── DamagedError      the file is no longer a whole database
├── TooNewError       a newer version of the application has written it
├── StoreFullError    the disk is full or cannot be written
├── UndeliveredError  it holds decisions that would be lost
└── InUseError        another process has it open
"""


class StoreError(Exception):
    """Something is wrong with what is kept on this machine."""


class NoKeyError(StoreError):
    """There is no key to encrypt with, so nothing may be kept."""


class WrongKeyError(StoreError):
    """The key does not open the file."""


class DamagedError(StoreError):
    """The file cannot be read as a whole."""


class TooNewError(StoreError):
    """A newer version of the application has written the file."""


class StoreFullError(StoreError):
    """The disk is full, or the file cannot be written."""


class UndeliveredError(StoreError):
    """It holds, or may hold, decisions that were not delivered."""


class InUseError(StoreError):
    """Another process has the file open."""
