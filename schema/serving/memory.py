"""A cache in the memory of the process, with a limit in bytes. The least recently used values are dropped first."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")

_OVERHEAD = 500  # bytes for a key, an entry and their places


class Memory(Generic[Value]):
    """Threads share it. `most` returns the limit in bytes, `size` the size of a value."""

    def __init__(self, *, most: Callable[[], int], size: Callable[[Value], int]) -> None:
        self._most, self._size = most, size
        self._held: OrderedDict[str, Value] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: str) -> Value | None:
        with self._lock:
            value = self._held.get(key)
            if value is not None:
                self._held.move_to_end(key)
            return value

    def keep(self, key: str, value: Value) -> None:
        """Stores a value, unless it is larger than a tenth of the limit."""
        size = self._size(value) + _OVERHEAD
        with self._lock:
            self._drop(key)
            if size > self._most() // 10:
                return
            self._held[key] = value
            self._bytes += size
            while self._bytes > self._most():
                self._drop(next(iter(self._held)))

    def _drop(self, key: str) -> None:
        value = self._held.pop(key, None)
        if value is not None:
            self._bytes -= self._size(value) + _OVERHEAD

    def values(self) -> list[Value]:
        """What it holds, the longest unused first."""
        with self._lock:
            return list(self._held.values())

    def clear(self) -> None:
        with self._lock:
            self._held.clear()
            self._bytes = 0

    @property
    def bytes(self) -> int:
        return self._bytes
