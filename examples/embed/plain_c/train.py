"""Train an LSTM to foresee the next number of a sine, and save it for main.c.

python train.py sine.safetensors
"""

import sys

import numpy as np

import recurra

STEP = 0.3  # radians between two numbers, as in main.c


def main() -> None:
    """Train for some seconds; save; print the error on a sine of another phase."""
    recurra.set_random_seed(1)
    rng = np.random.default_rng(1)
    phases = rng.uniform(0, 2 * np.pi, 256)
    waves = np.sin(phases[:, None] + STEP * np.arange(61)).astype(np.float32)[..., None]
    model = recurra.Sequential([recurra.LSTM(16, return_sequences=True), recurra.Dense(1)])
    model.compile(optimizer=recurra.optimizers.Adam(0.01), loss="mse")
    model.fit(waves[:, :-1], waves[:, 1:], batch_size=32, epochs=30, verbose=0)
    model.save(sys.argv[1])
    wave = np.sin(0.5 + STEP * np.arange(201)).astype(np.float32).reshape(1, -1, 1)
    error = np.abs(model.predict(wave[:, :-1]) - wave[:, 1:])[:, 20:].mean()
    print(f"saved {sys.argv[1]}, mean error {error:.4f}")


if __name__ == "__main__":
    main()
