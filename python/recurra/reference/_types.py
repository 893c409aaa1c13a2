"""The one array type that this package's annotations speak of."""

from __future__ import annotations

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Parameters: TypeAlias = dict[str, Array]
"""The parameters, or the gradients, of one layer and direction: name without suffix -> array."""
