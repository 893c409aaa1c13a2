"""A call of the engine as an operation of PyTorch's autograd, on the memory of its tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from recurra.torch.weights import marks, same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array
    from recurra.torch.layouts import Layout
    from recurra.torch.weights import Plan, Runtime

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)

# Whether the running backward pass has retain_graph=True; where PyTorch does not tell, tapes are kept, at a copy each.
_keeps_graph = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)
_unflatten = torch._C._nn.unflatten_dense_tensors


class Call:
    """One call: the engine and its weights, how the tensors lie, and the seed of the masks that are drawn."""

    __slots__ = ("layout", "marks", "plan", "seed", "unchanged", "vector", "weights")

    def __init__(
        self, runtime: Runtime, plan: Plan, weights: Sequence[Any], vector: Array, layout: Layout, seed: int | None
    ) -> None:
        self.plan, self.weights, self.vector, self.layout, self.seed = plan, weights, vector, layout, seed
        self.marks = marks(weights) if runtime.trusted else None
        self.unchanged = self.marks is not None and same(self.marks, plan.seen)

    def __call__(self, x: Any, h0: Any, c0: Any) -> tuple[Any, ...]:
        """Return the outputs, where the layout has any, and the final states; differentiable if anything asks."""
        if torch.is_grad_enabled():
            for tensor in (x, h0, c0, *self.weights):
                if tensor is not None and tensor.requires_grad:
                    results: tuple[Any, ...] = _Recurrence.apply(self, x, h0, c0, *self.weights)
                    return results
        return self.outputs(*self.run(self.plan.engine.forward, x, h0, c0))

    def run(self, method: Any, x: Any, h0: Any, c0: Any) -> Any:
        """Call the engine's ``forward`` or ``vjp`` on tensors."""
        layout = self.layout
        result = method(
            self.vector,
            layout.enter(array(x)),
            None if h0 is None else layout.enter_state(array(h0)),
            None if c0 is None else layout.enter_state(array(c0)),
            layout.lengths,
            sequences=layout.sequences,
            training=self.seed is not None,
            seed=self.seed or 0,
            unchanged=self.unchanged,
            time_major=layout.time_major,
        )
        self.plan.seen = self.marks
        return result

    def outputs(self, y: Array, hn: Array, cn: Array | None) -> tuple[Any, ...]:
        """Return the engine's results as tensors."""
        layout = self.layout
        states = [torch.from_numpy(layout.leave_state(state)) for state in (hn, cn) if state is not None]
        return (torch.from_numpy(layout.leave(y)), *states) if layout.sequences else tuple(states)

    def gradients(self, tape: Any, given: Sequence[Any], needs: Sequence[bool], keep: bool) -> tuple[Any, ...]:
        """Return the gradients of x, h0, c0 and the weights, None where ``needs`` is False."""
        layout = self.layout
        arrays = [None if gradient is None else array(gradient) for gradient in given]
        dy = arrays.pop(0) if layout.sequences else None
        dhn, dcn = [None if state is None else layout.enter_state(state) for state in (*arrays, None)][:2]
        flat = np.zeros(self.vector.size, self.vector.dtype) if any(needs[3:]) else None
        dy = None if dy is None else layout.enter(dy)
        dx, dh0, dc0 = tape.backward(dy, dhn, dcn, flat, need_dx=needs[0], keep=keep)
        parts = self.weights if flat is None else _unflatten(torch.from_numpy(flat), self.weights)
        return (
            torch.from_numpy(layout.leave(dx)) if needs[0] else None,
            torch.from_numpy(layout.leave_state(dh0)) if needs[1] else None,
            torch.from_numpy(layout.leave_state(dc0)) if needs[2] else None,
            *[part if wanted else None for part, wanted in zip(parts, needs[3:], strict=True)],
        )


def array(tensor: Any) -> Array:
    """Return a tensor's memory as an array; a lazily negated one is copied."""
    view: Array = (tensor.resolve_neg() if tensor.is_neg() else tensor).detach().numpy()
    return view


class _Recurrence(torch.autograd.Function):
    """Forward and backward through time."""

    @staticmethod
    def forward(ctx: Any, call: Call, x: Any, h0: Any, c0: Any, *weights: Any) -> tuple[Any, ...]:
        """Run the engine and keep its tape; the weights are those of the call."""
        *results, ctx.tape = call.run(call.plan.engine.vjp, x, h0, c0)
        ctx.call = call
        ctx.set_materialize_grads(False)
        return call.outputs(*results)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        """Return the gradients of the inputs of forward, None where nobody asks."""
        return _backward_once(ctx, *gradients) if torch.is_grad_enabled() else _backward(ctx, *gradients)


def _backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
    tape, keep = ctx.tape, _keeps_graph()
    if tape is None:
        raise RuntimeError(FREED)
    if not keep:
        ctx.tape = None
    return None, *ctx.call.gradients(tape, gradients, ctx.needs_input_grad[1:], keep)


_backward_once = once_differentiable(_backward)  # with create_graph=True: raises when differentiated again
