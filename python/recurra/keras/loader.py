"""Models from Keras's configurations: layers by the table, models in models, all that cannot be honoured refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors, layers
from recurra.keras import masks, wrappers
from recurra.keras.graph import Drawing, is_operation
from recurra.keras.options import Options
from recurra.keras.rows import ROWS
from recurra.layers.base import Layer
from recurra.layers.symbolic import Input
from recurra.models import Sequential

if TYPE_CHECKING:
    from recurra.keras.masks import Flow
    from recurra.layers.symbolic import SymbolicTensor

_DEPTH = 32  # of layers in layers
_MOST = 20_000  # layers and calls of a file
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")
# Layers that people ask for, and what stands for them.
_HINTS = {
    "Lambda": "its code cannot be run; write the layer as a class and name it in custom_objects",
    "TFOpLambda": "operations outside of layers are not kept as layers; use Add, Concatenate and their like",
    "SlicingOpLambda": "operations outside of layers are not kept as layers; use Cropping1D",
    "TextVectorization": "split the model behind it; recurra.data.TextVectorization makes its integers",
    "StringLookup": "split the model behind it; recurra.data.Vocabulary makes its integers",
}


class Loader:
    """Makes a model of a configuration.

    Parameters
    ----------
    generation : {2, 3} or None
        Of the Keras that wrote it.
    custom_objects : dict of str to type
        Layers of the caller's own, by Keras's class.

    Attributes
    ----------
    kinds : dict of int to str
        Keras's class by our layer's id.
    names : dict of str to Layer
        Our layers by Keras's name, those of the outermost model.
    flows : dict of int to Flow
        Calls inside of models, by id.
    stateful : list of str
        Layers that Keras would let go on from batch to batch.
    """

    def __init__(self, generation: int | None, custom_objects: dict[str, Any]) -> None:
        self.generation, self.custom_objects = generation, custom_objects
        self.kinds: dict[int, str] = {}
        self.names: dict[str, Layer] = {}
        self.flows: dict[int, Flow] = {}
        self.zeros: set[int] = set()
        self.stateful: list[str] = []
        self.inner_kinds: dict[int, str] = {}  # Keras's class inside of a Bidirectional
        self._theirs: dict[int, str] = {}
        self._alive: list[Any] = []  # so that no id is given twice
        self._depth = self._count = 0

    def model(self, description: dict[str, Any], build_shape: Any = None) -> Any:
        """Return the model, built, of what a file holds; masks have been looked at.

        Raises
        ------
        ValueError, TypeError
            If something cannot be honoured.
        """
        kind = description.get("class_name")
        if kind not in _MODELS:
            expected = "a model of class Sequential or Functional"
            raise _errors.bad_value("config", expected, repr(kind)[:100], "classes of one's own have code of their own")
        made = self.layer(description, build_shape)
        if not made.built:
            hint = "give the first layer an Input and save the model again"
            raise _errors.bad_value("config", "the shape of the input", "a model that was not built", hint)
        flow = self.flows[id(made)]
        flow.run([None] * len(flow.inputs))
        self.names = {theirs: layer for layer in made.layers for theirs in [self._theirs.get(id(layer), layer.name)]}
        return made

    # Layers

    def layer(self, description: Any, build_shape: Any = None) -> Any:
        """Return the layer, or the model, of a part of a configuration."""
        if not isinstance(description, dict) or not isinstance(description.get("class_name"), str):
            raise _errors.bad_value("config", "a layer with a class_name", repr(description)[:100])
        if self._depth >= _DEPTH:
            raise _errors.bad_value("config", f"layers at most {_DEPTH} deep", "deeper ones")
        self.count(1)
        self._depth += 1
        try:
            kind, config = description["class_name"], description.get("config")
            made = self._layer(kind, config, description, build_shape)
        finally:
            self._depth -= 1
        if isinstance(config, dict):
            self._named(made, str(config.get("name", description.get("name", ""))))
            if config.get("trainable") is False:
                made.trainable = False
        self.kinds.setdefault(id(made), kind)
        self._alive.append(made)
        return made

    def count(self, more: int) -> None:
        """Count layers or calls; raise ValueError beyond any model's number."""
        self._count += more
        if self._count > _MOST:
            raise _errors.bad_value("config", f"at most {_MOST} layers and calls", "more")

    def _layer(self, kind: str, config: Any, description: dict[str, Any], build_shape: Any) -> Any:
        own = self.custom_objects.get(kind, self.custom_objects.get(str(description.get("registered_name"))))
        if own is not None:
            return self._custom(own, kind, config)
        if is_operation(description, self.generation):
            raise _errors.bad_value("config", "layers", f"the operation {kind!r}")
        if kind in _MODELS:
            return self._sequential(config, build_shape) if kind == "Sequential" else self._functional(config)
        options = Options(kind, config, self.generation)
        if options.config.get("stateful"):
            self.stateful.append(options.name)
        if kind in wrappers.WRAPPERS:
            made = wrappers.WRAPPERS[kind](self, options)
        elif kind in ROWS:
            made = ROWS[kind].layer(options)
        else:
            known = ", ".join(sorted({*ROWS, *wrappers.WRAPPERS, *_MODELS}))
            hint = _HINTS.get(kind, "a class of your own that stands for it can be named in custom_objects")
            raise _errors.bad_value(f"layer {options.name!r}", f"one of {known}", f"class {kind!r}"[:100], hint)
        if options.config.get("zero_output_for_mask"):
            self.zeros.add(id(made))
        return made

    def _custom(self, own: Any, kind: str, config: Any) -> Layer:
        """Return a layer of the caller's own, made with what the file says about Keras's."""
        if not (isinstance(own, type) and issubclass(own, Layer)):
            raise _errors.bad_type("custom_objects", f"a class derived from recurra.layers.Layer for {kind!r}", own)
        given = {key: value for key, value in (config or {}).items() if key not in _BASE}
        dtype = Options(kind, {**(config or {}), "activity_regularizer": None}, self.generation).dtype()
        for extra in ({"dtype": dtype}, {}):
            try:
                return own.from_config({**given, **extra})
            except TypeError as error:
                problem = error
        expected = f"arguments of {own.__name__}, which stands for {kind!r}"
        raise _errors.bad_value("custom_objects", expected, str(problem)) from problem

    def name(self, theirs: str) -> str:
        """Return a name as ours may be."""
        return theirs.replace("/", "_").replace(".", "_") or "layer"

    def _named(self, layer: Layer, theirs: str) -> None:
        if theirs:
            layer.name, layer.named = self.name(theirs), True
            if isinstance(layer, layers.Recurrent):
                layer.arguments["name"] = layer.name
            self._theirs[id(layer)] = theirs

    # Models

    def input(self, description: dict[str, Any], integers: bool) -> SymbolicTensor:
        """Return the placeholder of an InputLayer."""
        options = Options("InputLayer", description.get("config"), self.generation)
        options.only("sparse", False, None)
        options.only("ragged", False, None)
        options.idle("optional", "input_tensor", "type_spec")
        options.finish()
        config = options.config
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        if shape is None and "shape" in config:
            shape = [None, *config["shape"]]
        dtype = config.get("dtype") or "float32"
        if dtype not in ("float32", "float64", *_INTEGERS):
            raise options.wrong("numbers: float32, float64 or integers", repr(dtype)[:100])
        kind = "int64" if integers or dtype in _INTEGERS else dtype
        made: SymbolicTensor = Input(_shape(options.where, shape)[1:], dtype=kind, name=self.name(options.name))
        return made

    def _functional(self, config: Any) -> Any:
        if not isinstance(config, dict):
            raise _errors.bad_value("config", "a model's configuration", repr(config)[:100])
        made, flow = Drawing(self, config).model(None)
        self.flows[id(made)] = flow
        return made

    def _sequential(self, config: Any, build_shape: Any) -> Sequential:
        parts = config.get("layers") if isinstance(config, dict) else config  # a list in Keras until 2.2
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise _errors.bad_value("config", "a list of layers", repr(parts)[:100])
        shape = config.get("build_input_shape") if isinstance(config, dict) else None
        shape = build_shape if shape is None else shape
        chain = [self.layer(part) for part in parts if part.get("class_name") != "InputLayer"]
        first = parts[0].get("config") if parts else None
        if isinstance(first, dict):
            own = first.get("batch_shape", first.get("batch_input_shape"))
            shape = shape if own is None else own
            if parts[0].get("class_name") == "InputLayer":
                self.input(parts[0], False)
        made = Sequential(chain)
        flow = self.flows[id(made)] = masks.Flow(self.generation, self.zeros)
        for index, layer in enumerate(chain):
            inner = self.flows.get(id(layer))
            flow.calls.append(masks.Step(self.kinds[id(layer)], layer, [index], [index + 1], inner))
        flow.inputs, flow.outputs = [0], [len(chain)]
        if shape is not None and chain:
            made.build(_shape("config", shape))
        return made


_MODELS = ("Sequential", "Functional", "Model")
_BASE = ("trainable", "dtype", "batch_input_shape", "batch_shape", "autocast", "quantization_config", "name")


def _shape(where: str, shape: Any) -> tuple[int | None, ...]:
    """Return a shape, batch axis first."""
    if isinstance(shape, list) and len(shape) == 1 and isinstance(shape[0], list):
        shape = shape[0]
    sizes = shape if isinstance(shape, list) else [""]
    if not sizes or len(sizes) > 16 or not all(size is None or (type(size) is int and size > 0) for size in sizes):
        raise _errors.bad_value(where, "a shape of sizes and None", repr(shape)[:100])
    return (None, *sizes[1:])
