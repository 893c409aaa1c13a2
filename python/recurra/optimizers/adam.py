"""Adam and its kin: AdamW, Nadam, Adamax."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.optimizers.fused import FusedOptimizer
from recurra.optimizers.settings import check_epsilon

if TYPE_CHECKING:
    from typing import Unpack

    from recurra.optimizers.schedules import LearningRateSchedule
    from recurra.optimizers.settings import Options


class _Betas(FusedOptimizer):
    """What has two decays and an epsilon."""

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        options: Options,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = _errors.check_rate("beta_1", beta_1)
        self.beta_2 = _errors.check_rate("beta_2", beta_2)
        self.epsilon = check_epsilon(epsilon)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class Adam(_Betas):
    """Adam (Kingma & Ba 2015), in Keras's form::

        m' = beta_1 * m + (1 - beta_1) * g
        v' = beta_2 * v + (1 - beta_2) * g * g
        w' = w - rate * m' / (sqrt(v') + epsilon)          rate = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)

    This is the paper's second form; PyTorch's is the first, with epsilon / sqrt(1 - beta_2^t) for epsilon.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        At least 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        From 0 to below 1.
    epsilon : float, default 1e-7
        At least 0.
    amsgrad : bool, default False
        Divide by the largest v' so far (Reddi, Kale & Kumar 2018); also by the name "amsgrad".
    **options
        Keywords of `Optimizer`.

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

    rule = "adam"
    rule_slots: tuple[str, ...] = ("m", "v")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, options)
        self.amsgrad = _errors.check_flag("amsgrad", amsgrad)
        if self.amsgrad:
            self.rule, self.rule_slots = "amsgrad", ("m", "v", "v_hat")

    def _numbers(self) -> tuple[float, ...]:
        t, beta_1, beta_2 = self.iterations + 1, self.beta_1, self.beta_2
        rate = self.learning_rate * math.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t)
        return rate, beta_1, 1.0 - beta_1, beta_2, 1.0 - beta_2, self.epsilon

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "amsgrad": self.amsgrad}


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): `Adam` with ``weight_decay``.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        At least 0.
    weight_decay : float, default 0.004
        At least 0: w = w - learning_rate * weight_decay * w before each step. PyTorch's default is 0.01.
    beta_1, beta_2, epsilon, amsgrad
        As of `Adam`.
    **options
        Keywords of `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> optimizer = recurra.optimizers.AdamW(weight_decay=0.01)
    >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        if weight_decay is None:
            raise _errors.bad_type("weight_decay", "a number of at least 0", "None", "use Adam for none")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **options)


class Nadam(_Betas):
    """Adam with Nesterov's momentum (Dozat 2016), in Keras's form; m' and v' as of `Adam`::

        u_t = beta_1 * (1 - 0.5 * 0.96^t)                  U_t = u_1 * ... * u_t
        mh  = u_{t+1} * m' / (1 - U_{t+1}) + (1 - u_t) * g / (1 - U_t)
        w'  = w - learning_rate * mh / (sqrt(v' / (1 - beta_2^t)) + epsilon)

    PyTorch's NAdam has 0.96^(0.004 t).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        At least 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        From 0 to below 1.
    epsilon : float, default 1e-7
        At least 0.
    **options
        Keywords of `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> recurra.optimizers.Nadam(0.01).beta_1
    0.9
    """

    rule = "nadam"
    rule_slots = ("m", "v")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, options)
        self._product = (0, 1.0)  # t and U_t

    def _weight(self, t: int) -> float:
        return self.beta_1 * (1.0 - 0.5 * 0.96**t)

    def _product_to(self, t: int) -> float:
        """Return U_t, from the one before, or from the start after a file was read."""
        known, product = self._product
        if known > t:
            known, product = 0, 1.0
        while known < t and product:
            known += 1
            product *= self._weight(known)
        self._product = t, product
        return product

    def _numbers(self) -> tuple[float, ...]:
        t, beta_1, beta_2 = self.iterations + 1, self.beta_1, self.beta_2
        here, ahead = self._weight(t), self._weight(t + 1)
        product = self._product_to(t)
        root = math.sqrt(1.0 - beta_2**t)  # of both sides of the fraction
        rate = self.learning_rate * root
        return (
            rate * ahead / (1.0 - product * ahead),
            rate * (1.0 - here) / (1.0 - product),
            beta_1,
            1.0 - beta_1,
            beta_2,
            1.0 - beta_2,
            self.epsilon * root,
        )


class Adamax(_Betas):
    """Adam with the largest gradient for a norm (Kingma & Ba 2015, section 7)::

        m' = beta_1 * m + (1 - beta_1) * g
        u' = max(beta_2 * u, |g|)
        w' = w - learning_rate / (1 - beta_1^t) * m' / (u' + epsilon)

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        At least 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        From 0 to below 1.
    epsilon : float, default 1e-7
        At least 0.
    **options
        Keywords of `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> recurra.optimizers.Adamax().slot_names
    ('m', 'u')
    """

    rule = "adamax"
    rule_slots = ("m", "u")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, options)

    def _numbers(self) -> tuple[float, ...]:
        beta_1 = self.beta_1
        rate = self.learning_rate / (1.0 - beta_1 ** (self.iterations + 1))
        return rate, beta_1, 1.0 - beta_1, self.beta_2, self.epsilon
