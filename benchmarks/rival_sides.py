"""PyTorch, ONNX Runtime and OpenVINO as sides of a benchmark: the same weights, each in the layout it likes best."""

import os

import numpy as np

from recurra.bench.cases import Case
from recurra.bench.sides import Prepared

# Our gates i f g o / r z n, in the order of ONNX: i o f c / z r h.
ONNX_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}


def threads() -> int:
    """Threads that this process was given."""
    return int(os.environ["OMP_NUM_THREADS"])


def parameters(case: Case) -> dict[str, np.ndarray]:
    """The case's weights under PyTorch's names."""
    weights = case.data().weights
    return {name: weights[at : at + np.prod(shape)].reshape(shape) for name, shape, at in case.reference().layout}


def time_major(array: np.ndarray) -> np.ndarray:
    """(N, T, F) as a contiguous (T, N, F), or back."""
    return np.ascontiguousarray(array.transpose(1, 0, 2))


def torch_side(case: Case) -> Prepared:
    """Prepare torch.nn.RNN, LSTM or GRU, time-major, in inference mode or with autograd."""
    import torch

    torch.set_num_threads(threads())
    module = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[case.cell](
        case.inputs,
        case.units,
        num_layers=case.layers,
        bidirectional=case.bidirectional,
    )
    module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in parameters(case).items()})
    data = case.data()
    x = torch.from_numpy(time_major(data.x))
    dy = torch.from_numpy(time_major(data.dy))

    def forward():
        with torch.inference_mode():
            return module(x)[0]

    def training():
        module.zero_grad(set_to_none=True)
        x.grad = None
        y = module(x)[0]
        y.backward(dy)
        return y

    def outputs():
        if not case.training:
            return (time_major(forward().numpy()),)
        y = training().detach().numpy()
        flat = np.concatenate([getattr(module, name).grad.numpy().ravel() for name in parameters(case)])
        return time_major(y), time_major(x.grad.numpy()), flat

    if case.training:
        x.requires_grad_()
    return Prepared(training if case.training else forward, outputs)


def onnx_model(case: Case) -> bytes:
    """One ONNX node of the case's cell, with the weights inside; x (T, N, I) to y (T, 1, N, H)."""
    from onnx import TensorProto, helper, numpy_helper

    order = ONNX_ORDER[case.cell]
    arrays = parameters(case)

    def gates(name: str) -> np.ndarray:
        blocks = np.split(arrays[name], len(order))
        return np.concatenate([blocks[gate] for gate in order])

    tensors = {
        "w": gates("weight_ih_l0"),
        "r": gates("weight_hh_l0"),
        "b": np.concatenate([gates("bias_ih_l0"), gates("bias_hh_l0")]),
    }
    options = {"linear_before_reset": 1} if case.cell == "gru" else {}
    node = helper.make_node(case.cell.upper(), ["x", "w", "r", "b"], ["y"], hidden_size=case.units, **options)
    graph = helper.make_graph(
        [node],
        case.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (case.steps, case.rows, case.inputs))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (case.steps, 1, case.rows, case.units))],
        [numpy_helper.from_array(value[None], name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return model.SerializeToString()


def onnxruntime_side(case: Case) -> Prepared:
    """Prepare an ONNX Runtime session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_model(case), options, providers=["CPUExecutionProvider"])
    feeds = {"x": time_major(case.data().x)}

    def forward():
        return session.run(["y"], feeds)[0]

    return Prepared(forward, lambda: (time_major(forward()[:, 0]),))


def openvino_side(case: Case) -> Prepared:
    """Prepare an OpenVINO request on the CPU, in float32 even where the CPU has bfloat16."""
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads(),
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(core.read_model(model=onnx_model(case)), "CPU", settings)
    request = compiled.create_infer_request()
    feeds = {"x": time_major(case.data().x)}

    def forward():
        return request.infer(feeds)[compiled.output(0)]

    return Prepared(forward, lambda: (time_major(np.array(forward())[:, 0]),))


RIVALS = {"torch": torch_side, "onnxruntime": onnxruntime_side, "openvino": openvino_side}
INFERENCE_ONLY = ("onnxruntime", "openvino")
