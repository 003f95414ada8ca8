"""What is known of a tensor besides its elements, for as long as it lives and is not written to."""

from __future__ import annotations

import weakref
from typing import Generic, NamedTuple, TypeVar, final

from torch import Tensor

T = TypeVar("T")


class Known(NamedTuple, Generic[T]):
    """`what` is known of a tensor of that version."""

    tensor: weakref.ref[Tensor]
    version: int
    what: T


@final
class Attached(dict[int, Known[T]]):
    """One thing a tensor, by the tensor's id; an entry goes with its tensor, before the id can be another's.

    A change of the tensor that torch sees is noticed, and what was known is dropped. Torch's own weak dictionaries take
    ten times as long to look in.
    """

    def attach(self, tensor: Tensor, what: T) -> None:
        """Let it be known of this tensor, which nobody must write to behind torch's back."""
        key = id(tensor)
        self[key] = Known(weakref.ref(tensor, lambda _: self.pop(key, None)), tensor._version, what)

    def of(self, tensor: Tensor) -> T | None:
        """What is known of this tensor, if anything is."""
        found = self.get(id(tensor))
        if found is None:
            return None
        if found.version != tensor._version:
            del self[id(tensor)]
            return None
        return found.what
