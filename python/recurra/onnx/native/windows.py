"""Convolution, pooling and normalisation as layers; ONNX keeps the features on axis 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra.onnx.native.pointwise import on_each, real, weights
from recurra.onnx.native.shapes import axes_of
from recurra.onnx.native.values import Call, Const, Data, Unmatched, integers

if TYPE_CHECKING:
    from recurra.onnx.graph import Node
    from recurra.onnx.native.reader import Reader
    from recurra.onnx.native.values import Meaning

_TURNED = ((0,), (2,), (1,))  # (batch, features, time) of (batch, time, features)


def _turned(value: Meaning, reader: Reader) -> Data:
    """Return an array as (batch, features, time) of one that is (batch, time, features)."""
    x = real(value)
    if len(x.axes) != 3:
        raise Unmatched("windows along several axes")
    x = reader.with_last(x, 1)
    if x.axes != _TURNED:
        raise Unmatched("windows along another axis")
    return x


def _padding(node: Node, span: int, stride: int) -> str | tuple[int, int]:
    """Return Keras's name of a padding, or the steps before and behind."""
    auto = node.attributes["auto_pad"]
    if auto == "SAME_UPPER":
        return "same"
    if auto not in ("NOTSET", "VALID", None):
        raise Unmatched("zeros first at the start")
    before, behind = (0, 0) if auto == "VALID" else node.attributes["pads"] or (0, 0)
    if before == behind == 0:
        return "valid"
    if stride == 1 and (before, behind) == ((span - 1) // 2, span // 2):
        return "same"
    return "causal" if (before, behind) == (span - 1, 0) else (before, behind)


def conv(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """A convolution over time."""
    from recurra.layers import Conv1D

    x, table = _turned(values[0], reader), weights(values[1], reader)
    if table.ndim != 3:
        raise Unmatched("a convolution over several axes")
    filters, _, taps = (int(size) for size in table.shape)
    stride, dilation = (int((node.attributes[name] or [1])[0]) for name in ("strides", "dilations"))
    if node.attributes["kernel_shape"] not in (None, (taps,), [taps]):
        raise Unmatched("weights of another form")
    span = (taps - 1) * dilation + 1
    padding = _padding(node, span, stride)
    ref = x.ref
    if isinstance(padding, tuple):
        ref, padding = _padded(ref, padding, reader), "valid"
    name = values[1].name if isinstance(values[1], Const) else ""
    call = Call(Conv1D, [ref], {"weight": table}, reader.name(node, name), kind="linear")
    call.options = {
        "filters": filters, "kernel_size": taps, "strides": stride, "padding": padding, "dilation_rate": dilation,
        "groups": int(node.attributes["group"]), "use_bias": len(values) > 2 and values[2] is not None,
    }  # fmt: skip
    if call.options["use_bias"]:
        call.weights["bias"] = weights(values[2], reader)
    time = _windows(ref.sizes[1], padding, span, stride, reader)
    return Data(reader.result(call, (ref.sizes[0], time, filters)), _TURNED)


def _padded(ref: Any, steps: tuple[int, int], reader: Reader) -> Any:
    """Return an array with steps of zeros before and behind."""
    from recurra.layers import ZeroPadding1D

    time = ref.sizes[1] + sum(steps) if isinstance(ref.sizes[1], int) else reader.open("steps")
    call = Call(ZeroPadding1D, [ref], options={"padding": list(steps)})
    return reader.result(call, (ref.sizes[0], time, ref.sizes[2]))


def _windows(time: int | str, padding: str, span: int, stride: int, reader: Reader) -> int | str:
    if not isinstance(time, int):
        return time if stride == 1 and padding in ("same", "causal") else reader.open("steps")
    count = max(0, (time - span) // stride + 1) if padding == "valid" else -(-time // stride)
    if not count:
        raise Unmatched("no steps")
    return count


def pad(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """Steps of zeros before and behind."""
    x = real(values[0])
    given = node.attributes.get("pads")
    pads = list(given) if given is not None else integers(values[1])
    fill = values[2] if len(values) > 2 else None
    number = fill.array.any() if isinstance(fill, Const) else fill is not None or node.attributes.get("value")
    if node.attributes["mode"] not in ("constant", None) or number or (len(values) > 3 and values[3] is not None):
        raise Unmatched("other padding")
    count = len(x.axes)
    places = [axis for axis in range(count) if pads[axis] or pads[count + axis]]
    if not places:
        return x
    if len(places) > 1 or x.ref.rank != 3 or x.axes[places[0]] != (1,) or min(pads) < 0:
        raise Unmatched("padding along another axis")
    return x.on(_padded(x.ref, (pads[places[0]], pads[count + places[0]]), reader))


def pool(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """Pooling over windows of time."""
    from recurra.layers import AveragePooling1D, MaxPooling1D

    x = _turned(values[0], reader)
    (size,), stride = node.attributes["kernel_shape"], int((node.attributes["strides"] or [1])[0])
    average = node.op_type == "AveragePool"
    padding = _padding(node, size, stride)
    dilated = any(step != 1 for step in node.attributes.get("dilations") or ())
    if node.attributes.get("ceil_mode") or dilated or padding not in ("valid", "same"):
        raise Unmatched("other windows")
    if average and padding == "same" and node.attributes.get("count_include_pad"):
        raise Unmatched("a mean with the padding")
    if len(node.outputs) > 1 and reader.uses[node.outputs[1]]:
        raise Unmatched("the places of the largest")
    layer = AveragePooling1D if average else MaxPooling1D
    call = Call(layer, [x.ref], name=reader.name(node))
    call.options = {"pool_size": int(size), "strides": stride, "padding": padding}
    time = _windows(x.ref.sizes[1], str(padding), size, stride, reader)
    return Data(reader.result(call, (x.ref.sizes[0], time, x.ref.sizes[2])), _TURNED)


def global_pool(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """Pooling over all of time, as an operator of its own."""
    return _reduced(node, _turned(values[0], reader), 2, True, reader)


def reduce(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """The mean or the largest of all steps."""
    x, axes = real(values[0]), axes_of(node, values)
    if axes is None or len(axes) != 1:
        raise Unmatched("a reduction over several axes")
    return _reduced(node, x, axes[0] % len(x.axes), bool(node.attributes["keepdims"]), reader)


def _reduced(node: Node, x: Data, axis: int, keep: bool, reader: Reader) -> Data:
    from recurra.layers import GlobalAveragePooling1D, GlobalMaxPooling1D

    if x.axes[axis] != (1,) or x.ref.rank != 3 or x.split != 1:
        raise Unmatched("a reduction over another axis")
    layer = GlobalMaxPooling1D if node.op_type in ("ReduceMax", "GlobalMaxPool") else GlobalAveragePooling1D
    call = Call(layer, [x.ref], name=reader.name(node))
    return reader.pooled(x, axis, reader.result(call, (x.ref.sizes[0], x.ref.sizes[2])), keep)


def batch_normalization(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """Batch normalisation by moving statistics."""
    from recurra.layers import BatchNormalization

    x = real(values[0])
    if node.attributes.get("training_mode") or len([name for name in node.outputs if name]) > 1 or len(x.axes) < 2:
        raise Unmatched("batch normalisation in training")
    x = reader.with_last(x, 1)
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    found = {name: weights(value, reader) for name, value in zip(names, values[1:5], strict=True)}
    if any(array.shape != (x.ref.sizes[-1],) for array in found.values()):
        raise Unmatched("statistics of another form")
    call = Call(BatchNormalization, [x.ref], found, reader.name(node, _name(values[1])))
    call.options = {"epsilon": float(node.attributes["epsilon"]), "momentum": float(node.attributes["momentum"])}
    return on_each(x, call, reader)


def layer_normalization(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """Layer normalisation over the features."""
    from recurra.layers import LayerNormalization

    x = real(values[0])
    last, beta = len(x.axes) - 1, values[2] if len(values) > 2 else None
    extra = any(reader.uses[name] for name in node.outputs[1:])
    if node.attributes["axis"] % len(x.axes) != last or extra or x.axes[last] != (x.ref.rank - 1,):
        raise Unmatched("normalisation over other axes")
    found = {"gamma": weights(values[1], reader), **({} if beta is None else {"beta": weights(beta, reader)})}
    if any(array.shape != (x.ref.sizes[-1],) for array in found.values()):
        raise Unmatched("gains of another form")
    call = Call(LayerNormalization, [x.ref], found, reader.name(node, _name(values[1])))
    call.options = {"epsilon": float(node.attributes["epsilon"]), "center": beta is not None}
    return on_each(x, call, reader)


def _name(value: Meaning) -> str:
    return value.name if isinstance(value, Const) else ""
