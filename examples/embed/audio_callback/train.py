"""Train an LSTM of 40 units to sound like an amplifier, and save it for main.cc.

    python train.py amplifier.safetensors

The amplifier is one that can be written down: a gain, a soft clip, a tone filter with memory. Models of real amplifiers
have the same shape and learn from recordings instead (Wright et al., "Real-time guitar amplifier emulation with deep
learning", Applied Sciences 10(3), 2020).
"""

import sys

import numpy as np

import recurra

UNITS = 40


def amplifier(x: np.ndarray) -> np.ndarray:
    """Return tanh(4 x) behind a one-pole low-pass; x: (N, T, 1)."""
    clipped = np.tanh(4 * x)
    y = np.zeros_like(x)
    for t in range(1, x.shape[1]):
        y[:, t] = 0.6 * y[:, t - 1] + 0.4 * clipped[:, t]
    return y


def main() -> None:
    """Train for some seconds; save; print the error on unheard noise."""
    recurra.set_random_seed(1)
    rng = np.random.default_rng(1)
    noise = (0.5 * rng.standard_normal((257, 128, 1))).astype(np.float32)
    sound = amplifier(noise)
    model = recurra.Sequential([recurra.LSTM(UNITS, return_sequences=True), recurra.Dense(1)])
    model.compile(optimizer=recurra.optimizers.Adam(0.005), loss="mse")
    model.fit(noise[:256], sound[:256], batch_size=16, epochs=6, verbose=0)
    model.save(sys.argv[1])
    error = np.sqrt(np.mean((model.predict(noise[256:]) - sound[256:]) ** 2) / np.mean(sound[256:] ** 2))
    print(f"saved {sys.argv[1]}, error to signal {error:.3f}")


if __name__ == "__main__":
    main()
