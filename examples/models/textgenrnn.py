"""textgenrnn (Woolf 2018) in recurra: a model of English, character by character, from Keras 2's weights for cuDNN.

    python examples/models/textgenrnn.py            compare with the equations in NumPy, and with Keras if installed
    python examples/models/textgenrnn.py --write    let it write

Two LSTMs read the last 40 characters; their outputs and the characters' vectors, side by side, are averaged over time
by learned weights. That last layer is no one else's, so it is written here, as a user writes a layer of his own. The
package's file holds weights in cuDNN's layout, two biases for each gate; read as Keras's own layout the model guesses
worse than chance: the report says how much.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os

import numpy as np
from contest import OURS, Report, Timing, in_turn
from fetch import package, pypi

import recurra
from recurra.layers import Layer

LENGTH = 40  # characters that it sees
EPSILON = 1e-7  # Keras's, in the attention's divisor
# The kind of text that it learned from: titles of discussions. Written for this file.
TITLES = (
    "What is the best way to learn how to cook for yourself when you have no time?",
    "This is the first picture of my dog after she came home from the hospital.",
    "The president of the United States will meet the prime minister of Japan in the summer.",
    "I have been trying to find a good place to work and this is what happened.",
    "How do you know when it is the right time to leave your job?",
    "People who have lived in a different country, what is the most interesting thing about it?",
    "My friend made this for my birthday and I want to share it with everyone here.",
    "A new study shows that children who read more books do better in school.",
    "What do you think about the new version of the game that was released today?",
    "The best thing about being a student is that you can sleep all day.",
)


class AttentionWeightedAverage(Layer):
    """An average over time with learned weights: a = softmax(x W) along time, y = sum of a[t] x[t].

    Source: textgenrnn's ``AttentionWeightedAverage.py`` (after Felbo et al. 2017). For fixed lengths.
    """

    input_axes = ("batch", "time", "features")

    def build(self, input_shape):
        """Declare W, (features, 1) as in Keras's file."""
        super().build(input_shape)
        self.add_weight("attention_W", (input_shape[-1], 1), "uniform")

    def compute_output_shape(self, input_shape):
        """Return (batch, features)."""
        return (input_shape[0], input_shape[-1])

    def compute_lengths(self, x, lengths):
        """Say that time is gone."""

    def __call__(self, x):
        """Return the averages."""
        return self.vjp(x)[0]

    def vjp(self, x):
        """Return the averages and their backward pass."""
        self.check_input(x)
        W = self.parameters["attention_W"][:, 0]
        logits = x @ W
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        epsilon = self.dtype.type(EPSILON)
        total = weights.sum(axis=1, keepdims=True) + epsilon
        weights /= total
        y = np.matmul(weights[:, None], x)[:, 0]

        def pullback(dy, *, need_dx=True):
            dweights = np.matmul(x, dy[:, :, None])[:, :, 0]
            mean = (weights * dweights).sum(axis=1, keepdims=True)
            dlogits = weights * (dweights - mean)
            dlogits[np.arange(len(x)), logits.argmax(axis=1)] -= (mean * epsilon / total)[:, 0]  # of the shift
            self.gradients["attention_W"][:, 0] += np.einsum("nt,ntf->f", dlogits, x)
            return weights[:, :, None] * dy[:, None] + dlogits[:, :, None] * W if need_dx else None

        return y, pullback


def weights_file():
    """Return the path of the weights."""
    (path,) = pypi("textgenrnn").glob("**/textgenrnn_weights.hdf5")
    return path


def vocabulary() -> dict[str, int]:
    """Return the number of each character; 0 is padding."""
    return json.loads(weights_file().with_name("textgenrnn_vocab.json").read_text("utf-8"))


def load() -> recurra.Model:
    """Return the model of the package's ``model.py`` with its weights."""
    characters = len(vocabulary()) + 1
    x = recurra.Input((LENGTH,), dtype="int64", name="input")
    embedded = recurra.Embedding(characters, 100, name="embedding")(x)
    first = recurra.LSTM(128, return_sequences=True, name="rnn_1")(embedded)
    second = recurra.LSTM(128, return_sequences=True, name="rnn_2")(first)
    joined = recurra.layers.Concatenate(name="rnn_concat")([embedded, first, second])
    averaged = AttentionWeightedAverage(name="attention")(joined)
    model = recurra.Model(x, recurra.Dense(characters, activation="softmax", name="output")(averaged))
    model.load_weights(weights_file(), by_name=True)
    return model


def windows(texts, numbers: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the 40 characters before each character of some texts, and the characters."""
    seen, follow = [], []
    for text in texts:
        codes = [0] * (LENGTH - 1) + [numbers["<s>"]] + [numbers.get(character, 0) for character in text]
        seen.append(np.lib.stride_tricks.sliding_window_view(codes, LENGTH)[:-1])
        follow.append(codes[LENGTH:])
    return np.concatenate(seen), np.concatenate(follow)


def bits(probabilities: np.ndarray, follow: np.ndarray) -> float:
    """Return the bits per character."""
    return float(-np.log2(probabilities[np.arange(len(follow)), follow]).mean())


def compare(turns: int = 15) -> Report:
    """Predict every character of the titles, and of verses of the King James text, with all that can."""
    from textgenrnn_numpy import Reference

    model, numbers = load(), vocabulary()
    seen, follow = windows(TITLES, numbers)
    reference = Reference(weights_file())
    ours, theirs = model.predict(seen, verbose=0), reference(seen)
    figures = {
        "difference": float(np.abs(ours - theirs).max()),
        "bits": bits(ours, follow),
        "reference bits": bits(theirs, follow),
        "kernels unturned": bits(Reference(weights_file(), "kernels")(seen), follow),
        "all unturned": bits(Reference(weights_file(), "all")(seen), follow),
    }
    agreement = f"probabilities within {figures['difference']:.1e}, {figures['bits']:.3f} bits per character of titles"
    wrong = f"(in Keras's own layout {figures['kernels unturned']:.0f} or {figures['all unturned']:.0f})"
    if (keras := with_keras()) is not None:
        figures["keras"] = float(np.abs(ours - keras.predict(seen, verbose=0)).max())
        agreement += f", tf_keras within {figures['keras']:.1e}"
    return Report(
        "textgenrnn",
        package("textgenrnn"),
        "characters of English: two LSTMs, 128 units, attention; Keras 2 weights for cuDNN",
        "its equations in NumPy, float64",
        f"{agreement} {wrong}",
        figures,
        timings(model, keras, seen, turns),
    )


def with_keras():
    """Return the model in Keras 2, built as in the package's ``model.py``; None where it is not installed."""
    if importlib.util.find_spec("tf_keras") is None:
        return None
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tf_keras as keras

    class Averaged(keras.layers.Layer):
        def build(self, shape):
            self.W = self.add_weight(shape=(shape[2], 1), name=f"{self.name}_W")

        def call(self, x):
            logits = keras.backend.dot(x, self.W)[:, :, 0]
            weights = keras.backend.exp(logits - keras.backend.max(logits, axis=-1, keepdims=True))
            weights /= keras.backend.sum(weights, axis=1, keepdims=True) + keras.backend.epsilon()
            return keras.backend.sum(x * keras.backend.expand_dims(weights), axis=1)

    layers, characters = keras.layers, len(vocabulary()) + 1
    x = keras.Input((LENGTH,), name="input")
    embedded = layers.Embedding(characters, 100, name="embedding")(x)
    first = layers.LSTM(128, return_sequences=True, name="rnn_1")(embedded)
    second = layers.LSTM(128, return_sequences=True, name="rnn_2")(first)
    joined = layers.Concatenate(name="rnn_concat")([embedded, first, second])
    model = keras.Model(x, layers.Dense(characters, "softmax", name="output")(Averaged(name="attention")(joined)))
    model.load_weights(weights_file(), by_name=True)
    return model


def timings(model: recurra.Model, keras, seen: np.ndarray, turns: int) -> list[Timing]:
    """Time the two LSTMs, and the whole model, against PyTorch's LSTM and Keras, where installed.

    One window is what the package asks for when it writes, 128 are its batch when it learns.
    """
    first, second = (layer for layer in model.layers if isinstance(layer, recurra.LSTM))
    found = []
    for count in (1, 128):
        codes, embedded = seen[:count], model.layers[0](seen[:count])
        recurrent = {OURS: lambda x=embedded: second(first(x))}
        whole = {OURS: lambda x=codes: model(x)}
        if importlib.util.find_spec("torch") is not None:
            recurrent["PyTorch"] = in_pytorch([first, second], embedded)
        if keras is not None:
            recurrent["Keras"], whole["Keras"] = in_keras(keras, embedded, codes)
        for what, sides in (("LSTMs", recurrent), ("whole model", whole)):
            if len(sides) > 1:
                found.append(in_turn(f"{what}, {count} x {LENGTH} characters", sides, turns=turns))
    return found


def in_keras(keras, embedded: np.ndarray, codes: np.ndarray):
    """Return functions that run the LSTMs and the whole model in Keras, as TensorFlow's graphs."""
    import tensorflow as tf

    recurrent = tf.function(lambda x: keras.get_layer("rnn_2")(keras.get_layer("rnn_1")(x)))
    whole = tf.function(keras)
    vectors, numbers = tf.constant(embedded), tf.constant(codes, tf.float32)
    return lambda: recurrent(vectors).numpy(), lambda: whole(numbers).numpy()


def in_pytorch(layers: list[recurra.LSTM], x: np.ndarray):
    """Return a function that runs the layers in PyTorch, having compared the outputs."""
    import torch

    stack = torch.nn.LSTM(x.shape[2], layers[0].units, len(layers), batch_first=True)
    with torch.no_grad():
        for index, layer in enumerate(layers):
            for name, value in layer.to_torch().items():
                getattr(stack, name.replace("_l0", f"_l{index}")).copy_(torch.from_numpy(value))

    def run():
        with torch.inference_mode():
            return stack(torch.from_numpy(x))[0]

    y = x
    for layer in layers:
        y = layer(y)
    if np.abs(run().numpy() - y).max() > 1e-4:  # weights of up to 8, in float32
        raise ValueError("PyTorch's LSTM gives other outputs")
    return run


def main() -> None:
    """Compare, or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write a few titles")
    if not parser.parse_args().write:
        print(compare())
        return
    model, numbers = load(), vocabulary()
    for seed in range(5):
        print(write(model, numbers, seed))


def write(model: recurra.Model, numbers: dict[str, int], seed: int, temperature: float = 0.5) -> str:
    """Return a title, drawn character by character."""
    rng, characters = np.random.default_rng(seed), {number: character for character, number in numbers.items()}
    codes = [0] * (LENGTH - 1) + [numbers["<s>"]]
    while len(codes) < 300:
        logits = np.log(model.predict(np.array([codes[-LENGTH:]]), verbose=0)[0] + 1e-30) / temperature
        chances = np.exp(logits - logits.max())
        codes.append(int(rng.choice(len(chances), p=chances / chances.sum())))
        if codes[-1] == numbers["<s>"]:
            break
    return "".join(characters.get(code, "") for code in codes[LENGTH:]).removesuffix("<s>")


if __name__ == "__main__":
    main()
