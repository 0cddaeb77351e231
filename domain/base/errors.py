"""What every refusal of the domain has in common. Each condition stands beside the function that raises it."""

from collections.abc import Sequence
from typing import ClassVar, Self


class DomainError(Exception):
    """Why nothing was done. `code` is for programs, `message` for people, `field` is the path into the input.

    Several at once are raised as an `ExceptionGroup`.
    """

    code: ClassVar[str] = "INVALID"

    def __init__(self, message: str, *, field: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.field = tuple(field)

    def at(self, field: Sequence[str]) -> Self:
        """The same error, of another field."""
        self.field = tuple(field)
        return self


class InvalidInput(DomainError):
    """The input breaks a rule that its message states."""


class NotFound(DomainError):
    """There is no such thing, or it is not the viewer's: the answer is the same."""

    code = "NOT_FOUND"


class RequestIdReused(DomainError):
    """Something else was asked for by this id."""

    code = "REQUEST_ID_REUSED"


def raise_all(*, errors: Sequence[DomainError]) -> None:
    """Raises what was collected: nothing, the one error, or all of them as a group."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("refused", list(errors))
