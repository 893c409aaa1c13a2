"""ONNX Runtime and OpenVINO on one ONNX graph: a recurrent node for each layer, with the weights inside."""

import numpy as np

from recurra.bench.cases import Case
from recurra.bench.sides import Prepared

from .common import parameters, reordered, stepping, suffixes, threads, time_major

# Our gates i f g o / r z n, in the order of ONNX: i o f c / z r h; our peepholes i f o in that of ONNX: i o f.
ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
PEEPHOLES = (0, 2, 1)


def onnxruntime_serves(case: Case) -> bool:
    """Forward, float32; ONNX has peepholes, but neither projection nor layer normalisation in the cell."""
    only_peepholes = all(name == "use_peepholes" for name, _ in case.options)
    return not case.training and case.dtype == "float32" and only_peepholes


def openvino_serves(case: Case) -> bool:
    """As ONNX Runtime, but for peepholes."""
    return onnxruntime_serves(case) and not case.options


def model(case: Case) -> bytes:
    """From x (T, N, I), lengths (N), h (D, N, H), c to y (T, N, D * H) and, of a stream, h and c."""
    from onnx import TensorProto, helper, numpy_helper

    arrays, order = parameters(case), ORDER[case.cell]
    directions = 2 if case.bidirectional else 1
    nodes, constants = [], {"shape": np.array([0, 0, -1])}
    states = ["h", "c"][: 2 if case.cell == "lstm" else 1] if case.stream else []
    x = "x"
    for layer, ways in enumerate(suffixes(case)):

        def gates(name, ways=ways):
            return np.stack([reordered(arrays[name + way], order) for way in ways])

        own = {
            f"w{layer}": gates("weight_ih"),
            f"r{layer}": gates("weight_hh"),
            f"b{layer}": np.concatenate([gates("bias_ih"), gates("bias_hh")], axis=1),
        }
        peepholes = [reordered(arrays[f"weight_ph{way}"], PEEPHOLES) for way in ways if f"weight_ph{way}" in arrays]
        if peepholes:
            own[f"p{layer}"] = np.stack(peepholes)
        constants |= own
        optional = ["lengths" if case.ragged else "", *(states or ["", ""])[:2], *([f"p{layer}"] if peepholes else [])]
        while optional and not optional[-1]:
            optional.pop()
        inputs = [x, *list(own)[:3], *optional]
        options = {"linear_before_reset": 1} if case.cell == "gru" else {}
        options["direction"] = "bidirectional" if case.bidirectional else "forward"
        outputs = [f"y{layer}", *(f"{state}_next" for state in states)]
        nodes.append(helper.make_node(case.cell.upper(), inputs, outputs, hidden_size=case.units, **options))
        nodes.append(helper.make_node("Transpose", [f"y{layer}"], [f"t{layer}"], perm=[0, 2, 1, 3]))
        x = "y" if layer == case.layers - 1 else f"x{layer + 1}"
        nodes.append(helper.make_node("Reshape", [f"t{layer}", "shape"], [x]))

    def info(name, *shape, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, shape)

    state_shape = (directions, case.rows, case.units)
    inputs = [info("x", case.steps, case.rows, case.inputs), *(info(state, *state_shape) for state in states)]
    if case.ragged:
        inputs.append(info("lengths", case.rows, kind=TensorProto.INT32))
    outputs = [info("y", case.steps, case.rows, directions * case.units)]
    outputs += [info(f"{state}_next", *state_shape) for state in states]
    initial = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, case.name, inputs, outputs, initial)
    opset = helper.make_opsetid("", 14)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


def feeds_of(case: Case) -> dict[str, np.ndarray]:
    """The inputs of the graph."""
    data = case.data()
    feeds = {"x": time_major(data.x)}
    if case.ragged:
        feeds["lengths"] = data.lengths.astype(np.int32)
    return feeds


def prepared(case: Case, infer) -> Prepared:
    """A side from ``infer(feeds) -> [y, h, c]``."""
    feeds = feeds_of(case)
    if not case.stream:
        return Prepared(lambda: infer(feeds), lambda: (time_major(np.array(infer(feeds)[0])),))
    names = ["h", "c"][: 2 if case.cell == "lstm" else 1]

    def reset():
        for name in names:
            feeds[name] = np.zeros((1, case.rows, case.units), np.float32)

    def step():
        y, *states = infer(feeds)
        feeds.update(zip(names, states, strict=True))
        return y[0]

    return stepping(step, reset)


def prepare_onnxruntime(case: Case) -> Prepared:
    """Prepare an ONNX Runtime session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model(case), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return prepared(case, lambda feeds: session.run(names, feeds))


def prepare_openvino(case: Case) -> Prepared:
    """Prepare an OpenVINO request on the CPU, in float32 even where the CPU has bfloat16."""
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads(),
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(core.read_model(model=model(case)), "CPU", settings)
    request = compiled.create_infer_request()
    count = len(compiled.outputs)

    def infer(feeds):
        results = request.infer(feeds, share_inputs=True)
        return [results[compiled.output(i)] for i in range(count)]

    return prepared(case, infer)
