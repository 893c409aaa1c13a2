"""The first example of a simple recurrent network, as in Keras: 30 steps of 10 features in, 5 numbers out.

    python examples/article_rnn.py

Only the first import is another one than in Keras. Each of the 5 targets is the sum of one feature over the 30 steps,
divided by sqrt(30), so that targets have variance 1: guessing their mean costs an error of 1. The network must carry
the sums through 30 applications of tanh, and gets close; the LSTM of examples/article_lstm.py, whose cell state adds,
makes about a tenth of its test loss.
"""

import numpy as np

from recurra import Dense, Sequential, SimpleRNN, set_random_seed


def sums(samples, rng):
    """Return noise (samples, 30, 10), and the scaled sums of its first five features (samples, 5)."""
    X = rng.normal(size=(samples, 30, 10))
    return X, X[:, :, :5].sum(axis=1) / np.sqrt(30)


rng = np.random.default_rng(0)
X_train, y_train = sums(1000, rng)
X_test, y_test = sums(500, rng)
set_random_seed(0)

model = Sequential()
model.add(SimpleRNN(20))
model.add(Dense(5))
model.compile(optimizer="adam", loss="mse")
history = model.fit(X_train, y_train, batch_size=32, epochs=100, verbose=0)

model.summary()
losses = history.history["loss"]
print("\nTraining loss after epoch 1, 10, 100: " + ", ".join(f"{losses[epoch - 1]:.4f}" for epoch in (1, 10, 100)))
print(f"Test loss: {model.evaluate(X_test, y_test, verbose=0):.4f} (guessing the mean: {y_test.var():.4f})")
print(f"First test sample: true {y_test[0].round(2)}, predicted {model.predict(X_test[:1])[0].round(2)}")
