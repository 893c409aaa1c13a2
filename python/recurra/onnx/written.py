"""A plan written as one Python function: between two operators nothing is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra.onnx.plan import Plan, named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_NODES = 2000  # longer functions take long to compile, and little of their time is spent between operators


class WrittenPlan(Plan):
    """A plan for inputs of given shapes, as a function."""

    _function: Callable[..., list[Any]] | None = None

    def write(self, inputs: int) -> None:
        """Write the function: one line for each step, so that an error's line tells the step."""
        if len(self.steps) > MOST_NODES:
            return
        names: dict[str, Any] = {}

        def name(index: int) -> str:
            if index == 0 or (self.values[index] is not None and index > inputs):
                names[f"k{index}"] = self.values[index]
                return f"k{index}"
            return f"v{index}"

        lines = [f"def run({', '.join(f'v{index}' for index in range(1, 1 + inputs))}):"]
        for number, step in enumerate(self.steps):
            names[f"c{number}"] = step.call
            made = f"c{number}({', '.join(map(name, step.inputs))})"
            if step.output >= 0:
                parts = [f"v{step.output} = {made}"]
            else:
                parts = [
                    f"t = {made}",
                    *(f"v{index} = t[{place}]" for place, index in enumerate(step.outputs) if index),
                ]
            parts += [f"v{index} = None" for index in step.done]
            lines.append(" " + "; ".join(parts))
        lines.append(f" return [{', '.join(map(name, self.results))}]")
        exec(compile("\n".join(lines), "<recurra plan>", "exec"), names)  # of numbers and these letters alone
        self._function = names["run"]

    def run(self, given: Sequence[Any]) -> list[Any]:
        """Return the outputs."""
        if self._function is None:
            return super().run(given)
        try:
            return self._function(*given)
        except Exception as error:
            raise named(error, self.nodes[self._number(error)].where) from error

    def _number(self, error: Exception) -> int:
        """Return which step raised."""
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != "<recurra plan>":
            trace = trace.tb_next
        return trace.tb_lineno - 2 if trace is not None else 0
