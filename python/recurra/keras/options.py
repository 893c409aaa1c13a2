"""The configuration of one of Keras's layers, taken piece by piece; whatever nobody took is refused."""

from __future__ import annotations

from typing import Any

from recurra import _errors, activations, constraints, initializers, regularizers

_MISSING = object()
# Keys of any layer that say nothing about what it computes.
_IDLE = ("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "build_config", "autocast", "seed",
         "input_shape", "input_dtype", "lora_alpha")  # fmt: skip
# Keys of any layer that must be empty.
_EMPTY = ("activity_regularizer", "quantization_config", "lora_rank", "noise_shape", "variable_dtype")
# Keras's names that mean the same here.
_PLAIN = ("linear", "tanh", "sigmoid", "relu", "softsign", "softplus", "elu", "softmax")
_SLOPE = 0.2  # of "leaky_relu" by name, in both generations
_HARD = {2: (0.2, 0.5), 3: (1.0 / 6.0, 0.5)}


class Options:
    """A layer's configuration.

    Parameters
    ----------
    kind : str
        Keras's class.
    config : dict
        As in the file.
    generation : {2, 3} or None
        Of Keras; None where the file does not say.

    Attributes
    ----------
    where : str
        What messages call the layer.
    """

    def __init__(self, kind: str, config: Any, generation: int | None) -> None:
        if not isinstance(config, dict):
            raise _errors.bad_value(f"layer of class {kind!r}", "a configuration", _errors.describe(config))
        self.kind, self.config, self.generation = kind, config, generation
        self.name = str(config.get("name", ""))
        self.where = f"layer {self.name!r} ({kind})"
        self.left = set(config) - set(_IDLE)
        for key in _EMPTY:
            self.only(key, None)

    def take(self, key: str, default: Any = _MISSING) -> Any:
        """Return an option's value; without a default it must be there."""
        self.left.discard(key)
        value = self.config.get(key, default)
        if value is _MISSING:
            raise self.wrong(f"an option {key!r}", "none")
        return value

    def only(self, key: str, *allowed: Any) -> None:
        """Raise unless an option, if it is there, has one of these values."""
        value = self.take(key, allowed[0])
        if not any(value is one or value == one for one in allowed):
            raise self.wrong(" or ".join(f"{key}={one!r}" for one in allowed), f"{value!r}")

    def idle(self, *keys: str) -> None:
        """Take options that change nothing here."""
        self.left.difference_update(keys)

    def finish(self) -> None:
        """Raise if an option is left that nobody knows."""
        if self.left:
            key = min(self.left)
            raise self.wrong("options that are known", f"{key}={self.config[key]!r}"[:200])

    def wrong(self, expected: str, got: str, hint: str = "") -> ValueError:
        """Return the error of an option that cannot be honoured."""
        return _errors.bad_value(self.where, expected, got, hint)

    # Values of their own kinds

    def dtype(self) -> str:
        """Return the dtype that the layer computes in."""
        value = self.config.get("dtype", "float32")
        if isinstance(value, dict):
            config = value.get("config")
            value = config.get("name") if isinstance(config, dict) else value
        if value in (None, "float32", "float64"):
            return value or "float32"
        raise self.wrong("dtype float32 or float64", repr(value), "mixed and half precision are not there")

    def activation(self, key: str, default: Any = _MISSING) -> Any:
        """Return an activation in our terms."""
        value = self.take(key, default)
        name, config = _named(value)
        if value is None or name in _PLAIN:
            return "linear" if value is None else name
        if name == "hard_sigmoid":
            if self.generation is None:
                raise self.wrong(
                    "a file that says Keras's version", "none", "hard_sigmoid is 0.2 x + 0.5 or x / 6 + 0.5"
                )
            return activations.hard_sigmoid(*_HARD[self.generation])
        if name == "leaky_relu":
            return activations.leaky_relu(_SLOPE)
        if name == "LeakyReLU":
            return activations.leaky_relu(float(config.get("negative_slope", config.get("alpha", 0.3))))
        known = ", ".join((*_PLAIN, "hard_sigmoid", "leaky_relu"))
        raise self.wrong(f"{key} of {known}", repr(value if name is None else name)[:200])

    def weight(self, key: str, axes: int = 1) -> dict[str, Any]:
        """Return initializer, regularizer and constraint of a weight whose ``axes`` axes are turned round here."""
        found = {
            "initializer": _initializer(self.take(f"{key}_initializer", None)),
            "regularizer": self._made(key, "regularizer", regularizers.REGULARIZERS, 1),
            "constraint": self._made(key, "constraint", constraints.CONSTRAINTS, axes),
        }
        return {f"{key}_{kind}": value for kind, value in found.items() if value is not None}

    def _made(self, key: str, kind: str, known: dict[str, Any], axes: int) -> Any:
        value = self.take(f"{key}_{kind}", None)
        if value is None:
            return None
        name, config = _named(value)
        classes = {one.__name__: one for one in known.values()}
        if name not in classes or name == "OrthogonalRegularizer":
            raise self.wrong(f"a {kind} of {', '.join(classes)}", repr(name or value)[:200])
        config = {part: setting for part, setting in config.items() if part not in ("dtype", "name")}
        if "axis" in config:
            axis = config["axis"]
            if isinstance(axis, bool) or not isinstance(axis, int) or not -axes <= axis < axes:
                raise self.wrong(f"a {kind} along one axis", f"axis={axis!r}")
            config["axis"] = axes - 1 - axis % axes
        return classes[name](**config)


def _named(value: Any) -> tuple[str | None, dict[str, Any]]:
    """Return name and arguments of what Keras wrote as a name, or as a class with a configuration."""
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, dict) or value.get("registered_name") not in (None, value.get("class_name")):
        return None, {}
    name, config = value.get("class_name"), value.get("config")
    if name == "function" and isinstance(config, str):
        return (config, {}) if value.get("module") in ("builtins", "keras.activations") else (None, {})
    return (name if isinstance(name, str) else None), (config if isinstance(config, dict) else {})


def _initializer(value: Any) -> Any:
    """Return an initializer; None, for the layer's own, where there is none like it: a file brings the values."""
    name, config = _named(value)
    classes = {one.__name__: one for one in initializers.INITIALIZERS.values()}
    made = classes.get(name or "") or initializers.INITIALIZERS.get(name or "")
    if made is None:
        return None
    try:
        return made(**{key: setting for key, setting in config.items() if key in ("gain", "value", "mean", "stddev",
                       "minval", "maxval", "scale", "mode", "distribution")})  # fmt: skip
    except (TypeError, ValueError):
        return None
