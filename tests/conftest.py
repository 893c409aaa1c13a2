"""What all tests share."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # one process can have one; the comparisons need PyTorch's gradients
