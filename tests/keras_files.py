"""Files as Keras lays them out, made by hand, for the tests of the reader."""

import numpy as np


def legacy(h5py, path, layers, *, under="", **attributes):
    """Write a .h5 file of weights in Keras 2's layout: name of a layer to its weights' names and arrays."""
    with h5py.File(path, "w") as file:
        for key, value in attributes.items():
            file.attrs[key] = value
        root = file.create_group(under) if under else file
        root.attrs["layer_names"] = np.array([name.encode() for name in layers])
        root.attrs["keras_version"] = b"2.15.0"
        for name, weights in layers.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = np.array([key.encode() for key in weights]) if weights else np.empty(0)
            for key, array in weights.items():
                group.create_dataset(key, data=array)


def cudnn(kernel, recurrent, gates):
    """Return the kernels of a plain layer as the layer for cuDNN keeps them (Keras's hdf5_format.py)."""
    inputs = [block.T.reshape(block.shape, order="C") for block in np.split(kernel, gates, axis=1)]
    return np.hstack(inputs), np.hstack([block.T for block in np.split(recurrent, gates, axis=1)])


def random(generator, *shape):
    return generator.standard_normal(shape).astype(np.float32) * 0.4
