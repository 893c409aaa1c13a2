"""Keras's files, of Keras 2 and 3: models and weights, read and written without Keras.

`recurra.load`, ``model.save``, ``load_weights`` and ``save_weights`` come here by the ending of a file's name. Nothing
of a file is run: a configuration names layers, which are looked up in a table.
"""

from __future__ import annotations
