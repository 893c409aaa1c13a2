"""Data for training: batches by number, ragged sequences, windows, streams, text, and what other libraries hold.

The order of an epoch is a function of seed and epoch alone (`Dataset`). Nothing here needs more than NumPy; frames and
tensors of other libraries bring them along.
"""

from __future__ import annotations

from recurra.data.arrays import as_array
from recurra.data.balance import class_weights
from recurra.data.buckets import BucketedDataset
from recurra.data.dataset import ArrayDataset, Dataset, IndexedDataset
from recurra.data.frames import from_frame
from recurra.data.padding import pad, pad_sequences
from recurra.data.prefetch import Prefetch
from recurra.data.streams import ManyStreamsDataset, StreamDataset, stream_dataset
from recurra.data.text import TextVectorization
from recurra.data.windows import (
    WindowedDataset,
    multi_step_targets,
    split_series,
    timeseries_dataset,
    timeseries_dataset_from_array,
)

__all__ = [
    "ArrayDataset",
    "BucketedDataset",
    "Dataset",
    "IndexedDataset",
    "ManyStreamsDataset",
    "Prefetch",
    "StreamDataset",
    "TextVectorization",
    "WindowedDataset",
    "as_array",
    "class_weights",
    "from_frame",
    "multi_step_targets",
    "pad",
    "pad_sequences",
    "split_series",
    "stream_dataset",
    "timeseries_dataset",
    "timeseries_dataset_from_array",
]
