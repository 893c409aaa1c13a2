"""Configurations as Keras writes them, made by hand, and archives of them."""

import json
import zipfile

import numpy as np

from recurra.keras import archive

LSTM = {"units": 4, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True}
GRU = {**LSTM, "reset_after": True}
DENSE = {"units": 2, "activation": "linear", "use_bias": True}


def layer(kind, name, config, **more):
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, "trainable": True, **config}, **more}


def start(shape, name="start", dtype="float32"):
    return layer("InputLayer", name, {"batch_shape": [None, *shape], "dtype": dtype})


def sequential(*layers):
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


def ref(name, call=0, output=0):
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, call, output], "shape": []}}


def node(*inputs, **options):
    return {"args": list(inputs), "kwargs": options}


def functional(layers, inputs, outputs):
    """Keras 3's: layers are (description, calls)."""
    parts = [{**part, "name": part["config"]["name"], "inbound_nodes": nodes} for part, nodes in layers]
    ends = {"input_layers": [[name, 0, 0] for name in inputs], "output_layers": [[name, 0, 0] for name in outputs]}
    return {"module": "keras", "class_name": "Functional", "config": {"name": "model", "layers": parts, **ends}}


def archive_of(path, config, weights=None, version="3.6.0"):
    """Write a .keras file; without weights the empty file of weights is no HDF5 file, which is found out last."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": version}))
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", archive.hdf5_bytes(weights or {}))
    return path


def cell_tree(*arrays):
    return {"cell": {"vars": {str(index): array for index, array in enumerate(arrays)}}}


def random_lstm(generator, features, units):
    shapes = (features, 4 * units), (units, 4 * units), (4 * units,)
    return [generator.standard_normal(shape).astype(np.float32) * 0.4 for shape in shapes]
