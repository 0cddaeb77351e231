"""Waiting for somebody outside, such as a gateway. A server that lets few threads work at once is told, so that another
works meanwhile (`commercia.threads`)."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext


class _Outside:
    def __init__(self) -> None:
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext


server = _Outside()


def waiting() -> AbstractContextManager[None]:
    """`with waiting(): …`: for as long as it takes, this thread has nothing to do."""
    return server.aside()
