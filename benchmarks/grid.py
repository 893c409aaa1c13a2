"""The cases against rivals: every shape for which there is a reason to reach for another library, by stable names."""

from typing import Any

from recurra.bench.cases import Case

CELLS = ("lstm", "gru", "rnn")
# Group: (T, N, I or None for H, H).
SHAPES = {
    "stream": [(1, 1, None, 8), (1, 1, None, 64), (1, 1, None, 256)],
    "solo": [(100, 1, None, 32), (100, 1, None, 128), (100, 1, None, 512), (100, 1, None, 1024)],
    "small": [(100, 8, None, 64), (100, 8, None, 256)],
    "seed": [(30, 32, 10, 20)],
    "medium": [(100, 32, None, 20), (100, 32, None, 64), (100, 32, None, 128)],
    "large": [(100, 64, None, 256), (50, 64, None, 512), (50, 128, None, 1024)],
    "long": [(1000, 16, None, 64)],
    "stack": [(100, 16, None, 128)],
    "ragged": [(100, 64, None, 128)],
    "float64": [(100, 32, None, 128)],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "stream": {"stream": True},
    "stack": {"layers": 2, "bidirectional": True},
    "ragged": {"ragged": True},
    "float64": {"dtype": "float64"},
}
VARIANTS: dict[str, tuple[tuple[str, Any], ...]] = {
    "peephole": (("use_peepholes", True),),
    "layernorm": (("layer_norm", True),),
    "projection": (("proj_size", 64),),
}


def grid() -> list[Case]:
    """All cases, named cell-group-Hunits-forward or -training."""
    cases = []
    for cell in CELLS:
        for group, shapes in SHAPES.items():
            for steps, rows, inputs, units in shapes:
                for training in (False, True):
                    if training and group == "stream":
                        continue
                    way = "training" if training else "forward"
                    name = f"{cell}-{group}-H{units}-{way}"
                    options = OPTIONS.get(group, {})
                    cases.append(Case(name, cell, rows, steps, inputs or units, units, training=training, **options))
    for variant, options in VARIANTS.items():
        for training in (False, True):
            name = f"lstm-{variant}-H128-{'training' if training else 'forward'}"
            cases.append(Case(name, "lstm", 32, 100, 128, 128, training=training, options=options))
    return cases
