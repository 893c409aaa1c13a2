"""What a model says about itself, and writes to files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra.training.runnable import Runnable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from recurra.cexport import Accuracy


class Stored(Runnable):
    """Base of `Trainer`: summary and files."""

    def summary(self, print_fn: Callable[[str], object] | None = None) -> None:
        """Print the layers with their output shapes and numbers of parameters.

        Parameters
        ----------
        print_fn : callable, optional
            Called with the text; by default ``print``.
        """
        from recurra.training.summary import describe

        self._settle()
        (print_fn or print)(describe(self))  # type: ignore[arg-type]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file; `recurra.load_model` reads it.

        The write is atomic: the file is the old or the new one, whole, even if the machine stops.

        Parameters
        ----------
        path : path
            Its ending names the format: ``.safetensors``, with the optimizer, its state, the loss and the metrics, if
            they are recurra's; or without them ``.keras`` for Keras 3, and ``.onnx`` as `export_onnx` writes it.

        Raises
        ------
        ValueError
            If the ending is another, the model is not built, or a part of it cannot be written; for ``.keras`` and
            ``.onnx`` also if the other side has no such layer or option, or would read a mask otherwise.
        ModuleNotFoundError
            If ``.keras`` or ``.onnx`` needs a package that is not installed.
        OSError
            If the file cannot be written.
        """
        from recurra import io

        io.save_model(self, path)  # type: ignore[arg-type]

    def export_onnx(
        self,
        path: str | os.PathLike[str],
        *,
        opset: int = 17,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        lengths: bool = False,
    ) -> None:
        """Write the model, as it is at inference, to an ONNX file; needs the extra ``onnx``.

        Batch and time axes stay open unless the model was built for fixed ones; nodes and weights bear the layers'
        names. The file passes ``onnx.checker``, and `recurra.load` makes the same trainable model of it. The write is
        atomic.

        Parameters
        ----------
        path : path
            The file, usually ending in ``.onnx``.
        opset : int, default 17
            Version of ONNX's operator set, 13 to 22.
        input_names, output_names : list of str, optional
            By default the model's own.
        lengths : bool, default False
            Give the graph an input ``lengths``, int64 (batch,), the steps that count of each sample; with several
            inputs one for each that has a time axis, ``<input>_lengths``. Masks that layers make of their input's
            values (`Masking`, ``mask_zero``) are always written.

        Raises
        ------
        ValueError
            If ONNX has no operators for a layer or one of its options, which is named, or the model is not built.
        ModuleNotFoundError
            If the package onnx is not installed.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import os, recurra, tempfile
        >>> model = recurra.Sequential([recurra.LSTM(20), recurra.Dense(5)])
        >>> model.build((None, None, 10))
        >>> path = os.path.join(tempfile.mkdtemp(), "model.onnx")
        >>> model.export_onnx(path)  # doctest: +SKIP
        """
        from recurra.onnx import export

        export.export(self, path, opset=opset, input_names=input_names, output_names=output_names, lengths=lengths)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the parameters alone to a file; `load_weights` reads it.

        Parameters
        ----------
        filepath : path
            Its name ends in ``.safetensors``, or in ``.weights.h5`` for Keras 3. The write is atomic.
        overwrite : bool, default True
            Replace a file of this name.

        Raises
        ------
        ValueError
            If the model is not built, the ending is another, or the file exists and is not to be replaced.
        OSError
            If the file cannot be written.
        """
        from recurra.io import weights

        weights.save(self, filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str], by_name: bool = False) -> None:
        """Read the parameters from a file of `save_weights` or `save`, or of Keras.

        Parameters
        ----------
        filepath : path
            A file ``.safetensors`` whose arrays are the model's parameters by name and shape; or ``.weights.h5``,
            ``.h5``, ``.hdf5`` or ``.keras`` of Keras 2 or 3, of a model of the same layers. Numbers are cast to the
            model's dtype.
        by_name : bool, default False
            Of a ``.h5`` file take the layers whose names the model has too, and leave the others as they are.

        Raises
        ------
        ValueError
            If the model is not built, or the file is damaged or not of such a model; the parameters stay as they were.
        OSError
            If the file cannot be read.

        Examples
        --------
        >>> import numpy as np, os, recurra, tempfile
        >>> first, second = (recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)]) for _ in range(2))
        >>> y = first(np.ones((1, 5, 2), np.float32))
        >>> path = os.path.join(tempfile.mkdtemp(), "weights.safetensors")
        >>> first.save_weights(path)
        >>> second.build((None, None, 2))
        >>> second.load_weights(path)
        >>> bool((second(np.ones((1, 5, 2), np.float32)) == y).all())
        True
        """
        from recurra.io import weights

        weights.load(self, filepath, by_name)

    def export_c(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "model",
        weights: str = "float32",
        sample: Any = None,
    ) -> Accuracy:
        """Write the model as one C99 file that needs no library: for microcontrollers, and for reading.

        The file has ``NAME_reset``, ``NAME_step`` and ``NAME_run``; a model that must see whole sequences, as a
        bidirectional layer does, has no step. Weights are constant arrays, the state is a struct that the caller
        holds. See docs/one-file-c.md.

        Parameters
        ----------
        path : path
            Ends in ``.c``. The write is atomic.
        name : str, default "model"
            Prefix of all names in the file.
        weights : {"float32", "float16", "int8"}, default "float32"
            How matrices are stored: exactly, in half, or in a quarter of the bytes with a scale for each output.
            Biases and gains stay float32, as does all arithmetic. What that costs in accuracy is printed, and
            stands in the file.
        sample : array_like, or list of such for several inputs, optional
            Inputs as for `predict`, to measure that accuracy with and to test the file by; by default random numbers.

        Returns
        -------
        Accuracy
            Sizes in bytes and errors; prints as a line.

        Raises
        ------
        TypeError, ValueError
            On wrong arguments; if the model is not built, a weight is not finite, or a layer cannot be in such a file.
            Nothing is written then.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import os, recurra, tempfile
        >>> model = recurra.Sequential([recurra.LSTM(4, return_sequences=True), recurra.Dense(1)])
        >>> model.build((None, None, 2))
        >>> model.export_c(os.path.join(tempfile.mkdtemp(), "model.c")).constants
        468
        """
        from recurra import cexport

        return cexport.export(self, path, name=name, weights=weights, sample=sample)  # type: ignore[arg-type]
