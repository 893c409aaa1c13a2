"""Where and how often a run is saved, so that it can go on after a crash."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from recurra import _errors
from recurra.callbacks.base import Callback


class BackupAndRestore(Callback):
    """Save the state of the training, and go on from there (`keras.callbacks.BackupAndRestore`).

    ``fit`` does the work: before the first epoch it looks for a state in the folder and goes on from it, bit for bit as
    if nothing had happened: weights, optimizer, order of the samples, masks, running means, history, other callbacks.
    ``fit(..., resume="run/")`` is the same as ``resume=BackupAndRestore("run/", double_checkpoint=True,
    delete_checkpoint=False)``.

    Parameters
    ----------
    backup_dir : path
        Folder of this run's state and nothing else; made if missing.
    save_freq : "epoch", int or datetime.timedelta, default "epoch"
        Save after each epoch; an int or a time: also within an epoch, after so many batches or so much time.
    double_checkpoint : bool, default False
        Also keep the state before the last one, as a way out if the last file is damaged.
    delete_checkpoint : bool, default True
        Delete the state when training has ended. If it is kept, a finished run that is resumed returns its history at
        once, and goes on if more epochs are asked for.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments; from ``fit``, if the state is that of another model, optimizer or number of samples.

    Notes
    -----
    A state is written to a new file, which takes the old one's place once it is on the disk. It is also written when
    ``fit`` ends by an error or Ctrl-C, so that no batch is lost.

    Examples
    --------
    >>> import numpy as np, recurra, tempfile
    >>> x, y, folder = np.ones((32, 5, 2)), np.ones((32, 1)), tempfile.mkdtemp()
    >>> def train(epochs):
    ...     model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    ...     model.compile()
    ...     keep = recurra.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    ...     return model.fit(x, y, epochs=epochs, verbose=0, callbacks=[keep]).epoch
    >>> train(2), train(5)
    ([0, 1], [0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        self.backup_dir = os.fspath(backup_dir)
        if not self.backup_dir:
            raise _errors.bad_value("backup_dir", "the name of a folder", "an empty text")
        if isinstance(save_freq, timedelta):
            if save_freq <= timedelta(0):
                raise _errors.bad_value("save_freq", "a time above 0", str(save_freq))
        elif save_freq != "epoch":
            save_freq = _errors.check_integer("save_freq", save_freq, 1)
        self.save_freq = save_freq
        self.double_checkpoint = _errors.check_flag("double_checkpoint", double_checkpoint)
        self.delete_checkpoint = _errors.check_flag("delete_checkpoint", delete_checkpoint)
