"""The base of the domain's errors. Each specific error is defined in the module that raises it."""

from collections.abc import Sequence
from typing import ClassVar, Self


class DomainError(Exception):
    """A request was refused, and nothing was changed.

    `code` is for programs, `message` for people; `field` is the path of the input field. Several errors are raised
    together as an `ExceptionGroup`.
    """

    code: ClassVar[str] = "INVALID"

    def __init__(self, message: str, *, field: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.field = tuple(field)

    def at(self, field: Sequence[str]) -> Self:
        """Sets the error's field and returns the error."""
        self.field = tuple(field)
        return self


class InvalidInput(DomainError):
    """The input breaks a rule, which the message states."""


class NotFound(DomainError):
    """The object does not exist, or the viewer may not see it. Both give the same answer."""

    code = "NOT_FOUND"


class RequestIdReused(DomainError):
    """The request id was used before, for a different request."""

    code = "REQUEST_ID_REUSED"


def raise_all(*, errors: Sequence[DomainError]) -> None:
    """Raises the one error, or several as an `ExceptionGroup`. Does nothing if there are none."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("refused", list(errors))
