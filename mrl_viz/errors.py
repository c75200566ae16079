"""Every error a user of this library can meet.

    MrlVizError
    ├── InvalidInputError (ValueError)      an argument or an array that cannot be used
    │   ├── DimensionError                  a width outside 1..full_dim
    │   ├── ShapeError                      an array of the wrong shape, or with NaN or infinities
    │   └── EmptyInputError                 nothing, or too little, to work on
    ├── DataFormatError                     a file that is not what its name promises
    ├── ModelUnavailableError               a model that cannot be loaded on this machine
    ├── ApiError                            a remote model that refuses, answers wrongly or not at all
    ├── StoreError                          the embedding store cannot be used
    ├── CancelledError              the user stopped an encoding; finished work is kept
    └── OptionalDependencyError (ImportError)

A message names the thing in backticks, the value got, the allowed range, and what to do.
"""


class MrlVizError(Exception):
    """Base class: anything this library raises on purpose."""


class InvalidInputError(MrlVizError, ValueError):
    """An argument has a value that cannot be used."""


class DimensionError(InvalidInputError):
    """A width is not an integer in 1..full_dim."""


class ShapeError(InvalidInputError):
    """An array has the wrong shape, type or contents."""


class EmptyInputError(InvalidInputError):
    """There is nothing, or too little, to measure."""


class DataFormatError(MrlVizError):
    """A file cannot be read as the format its name promises."""


class ModelUnavailableError(MrlVizError):
    """A model cannot be loaded here."""


class ApiError(MrlVizError):
    """A remote model refuses, answers wrongly or not at all; what the store has is kept."""


class StoreError(MrlVizError):
    """The embedding store cannot be opened, read or written."""


class CancelledError(MrlVizError):
    """Something was stopped on request; what was finished is kept."""


class OptionalDependencyError(MrlVizError, ImportError):
    """A package that is not a requirement is needed; the message holds the pip command."""
