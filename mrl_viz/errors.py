"""Every error a user of this library can meet.

    MrlVizError
    ├── InvalidInputError (ValueError)
    │   ├── DimensionError
    │   ├── ShapeError
    │   └── EmptyInputError
    ├── DataFormatError
    ├── ModelUnavailableError
    ├── ApiError
    ├── StoreError
    ├── CancelledError
    └── OptionalDependencyError (ImportError)

A message names the thing in backticks, the value got, the allowed range, and what to do.
"""


class MrlVizError(Exception):
    """Base class: anything this library raises on purpose."""


class InvalidInputError(MrlVizError, ValueError):
    """An argument or an array cannot be used."""


class DimensionError(InvalidInputError):
    """A width is not an integer in 1..full_dim."""


class ShapeError(InvalidInputError):
    """An array has the wrong shape or type, or holds NaN or infinities."""


class EmptyInputError(InvalidInputError):
    """There is nothing, or too little, to work on."""


class DataFormatError(MrlVizError):
    """A file cannot be read as the format its name promises."""


class ModelUnavailableError(MrlVizError):
    """A model cannot be loaded on this machine."""


class ApiError(MrlVizError):
    """A remote model refuses, answers wrongly or not at all; what the store has is kept."""


class StoreError(MrlVizError):
    """The embedding store cannot be opened, read or written."""


class CancelledError(MrlVizError):
    """Something was stopped on request; what was finished is kept."""


class OptionalDependencyError(MrlVizError, ImportError):
    """A package that is not a requirement is needed; the message holds the pip command."""
