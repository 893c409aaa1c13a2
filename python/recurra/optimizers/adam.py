"""Adam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from recurra import _core, _errors
from recurra.optimizers.base import Optimizer

if TYPE_CHECKING:
    from recurra._typing import Array


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015)::

        m' = beta_1 * m + (1 - beta_1) * g
        v' = beta_2 * v + (1 - beta_2) * g * g
        w' = w - learning_rate * mh / (sqrt(vh) + epsilon)      mh = m' / (1 - beta_1^t), vh = v' / (1 - beta_2^t)

    Parameters
    ----------
    learning_rate : float, default 0.001
        At least 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        From 0 to below 1.
    epsilon : float, default 1e-7
        Keras's default; PyTorch's is 1e-8.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> recurra.optimizers.Adam().learning_rate
    0.001
    """

    slot_names: ClassVar[tuple[str, ...]] = ("m", "v")

    def __init__(
        self, learning_rate: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7
    ) -> None:
        super().__init__(learning_rate)
        self.beta_1 = _errors.check_rate("beta_1", beta_1)
        self.beta_2 = _errors.check_rate("beta_2", beta_2)
        self.epsilon = _errors.check_number("epsilon", epsilon, 0.0, 1e30, "a number of at least 0")

    def update(self, parameters: Array, gradients: Array) -> None:
        """Apply the rule; see `Optimizer.update`."""
        _core.adam_step(
            parameters,
            gradients,
            self.slots["m"],
            self.slots["v"],
            lr=self.learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            step=self.iterations + 1,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
