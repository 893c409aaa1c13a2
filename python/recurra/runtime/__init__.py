"""A saved model as the C ABI runs it: for serving without the training code, and to test programs against.

`Model` loads what ``model.save("model.safetensors")`` wrote and calls the same functions as a C program does
(``recurra.h``). Nothing of the layers is imported.
"""

from recurra.runtime.model import Model
from recurra.runtime.stream import Stream

__all__ = ["Model", "Stream"]
