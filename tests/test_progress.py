"""What fit shows, in a pseudo-terminal, a log and a notebook."""

import io
import os
import re
import struct
import subprocess
import sys
import types

import numpy as np
import pytest

import recurra
from recurra.callbacks import LambdaCallback, ProgressBar
from recurra.callbacks.progress import say

# Two epochs of eight batches, each long enough for an update; a callback says something in between.
PROGRAM = """
import sys, time
import numpy as np, recurra
from recurra.callbacks.progress import say
pause = recurra.callbacks.LambdaCallback(
    on_train_batch_end=lambda batch, logs: time.sleep(0.03),
    on_epoch_end=lambda epoch, logs: say(f"saved epoch {epoch}") if epoch == 0 else None,
)
model = recurra.Sequential([recurra.LSTM(4, seed=1), recurra.Dense(1, seed=2)])
model.compile("sgd", "mse", metrics=["mae", "accuracy"])
x, y = np.ones((128, 5, 2), np.float32), np.ones((128, 1), np.float32)
if sys.argv[1] == "batches":
    model.fit((( x[:16], y[:16]) for _ in range(16)), epochs=2, steps_per_epoch=8, callbacks=[pause])
elif sys.argv[1] == "unknown":
    class Batches:
        def __iter__(self):
            return ((x[:16], y[:16]) for _ in range(8))
    model.fit(Batches(), epochs=2, callbacks=[pause])
else:
    model.fit(x, y, 16, 2, callbacks=[pause], validation_data=(x, y))
"""


def in_terminal(columns, case="arrays"):
    """Return all that the program writes to a terminal of so many columns."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k != "COLUMNS"} | {"PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, case], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written = b""
    while True:
        try:
            written += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(timeout=60) == 0, written.decode()
    return written.decode()


def screens(text, columns):
    """Return the lines on a screen after each character that moves the cursor, and whether any line was too long."""
    lines, row, column, wrapped = [""], 0, 0, False
    states = []
    for character in text:
        if character == "\r":
            states.append(list(lines))
            column = 0
        elif character == "\n":
            states.append(list(lines))
            row += 1
            lines.append("")
        elif character == "\b":
            column -= 1
        else:
            if column >= columns:
                wrapped = True
            line = lines[row].ljust(column)
            lines[row] = line[:column] + character + line[column + 1 :]
            column += 1
    return [*states, lines], wrapped


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_a_terminal_shows_one_line_per_epoch_that_neither_wraps_nor_leaves_remains(columns):
    states, wrapped = screens(in_terminal(columns), columns)
    final = [line.rstrip() for line in states[-1]]
    assert not wrapped
    assert len(states) > 6  # it was updated
    assert [line[:9] for line in final] == ["saved epo", "Epoch 1/2", "Epoch 2/2", ""]
    assert final[0] == "saved epoch 0"
    assert re.search(r"^Epoch 2/2 ((━* )? *8/8  )?loss [\d.e-]+", final[2])
    if columns >= 120:
        assert re.search(r" 8/8  loss \S+  mae \S+  accuracy \S+  val_loss \S+  val_mae \S+  val_acc", final[2])
    if columns >= 60:
        assert re.search(r"loss \S+ .*val_loss \S+", final[2])
        assert any("left" in line for state in states for line in state)
    assert any("validating" in line for state in states for line in state)


def test_batches_in_unknown_number_are_counted_and_known_in_the_second_epoch():
    states, wrapped = screens(in_terminal(100, "unknown"), 100)
    shown = "\n".join(line for state in states for line in state)
    assert not wrapped
    assert re.search(r"Epoch 1/2 \d steps  loss", shown)
    assert re.search(r"Epoch 2/2 ━+╌+ \d/8  loss", shown)
    assert re.search(r"^Epoch 1/2 ━{24} 8/8", states[-1][1])


def fit(**options):
    x, y = np.ones((32, 5, 2), np.float32), np.ones((32, 1), np.float32)
    made = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    made.compile()
    return made.fit(x, y, 16, 2, **options)


def test_a_log_gets_one_plain_line_per_epoch():
    stream = io.StringIO()
    fit(verbose=0, callbacks=[ProgressBar(stream=stream)])
    number = r"\d+(\.\d+)?(e-\d+)?"
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    for epoch, line in enumerate(lines, 1):
        assert re.fullmatch(rf"Epoch {epoch}/2  loss {number}  {number} [um]?s/step  {number} [um]?s", line), line


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_without_wide_characters_gets_an_ascii_bar(monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    stream = Terminal()
    fit(verbose=0, callbacks=[ProgressBar(stream=stream)])
    assert f"\rEpoch 2/2 {'=' * 24} 2/2  loss" in stream.getvalue()


def test_a_message_takes_the_place_of_an_unfinished_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    stream = Terminal()
    bar = ProgressBar(stream=stream)
    bar.set_params({"epochs": 1, "steps": 4})
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    bar._next = 0.0
    bar.on_train_batch_end(0, {"loss": 1.0})
    shown = stream.getvalue()
    assert shown.startswith("\rEpoch 1/1 ")
    say("hello")
    assert capsys.readouterr().out == "hello\n"
    assert stream.getvalue() == shown + "\r" + " " * (len(shown) - 1) + "\r"
    bar.close()
    assert stream.getvalue().count("\n") == 0


def test_an_interrupted_epoch_ends_its_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    stream = Terminal()
    bar = ProgressBar(stream=stream)

    def stop(batch, logs):
        bar._next = 0.0
        if batch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(verbose=0, callbacks=[LambdaCallback(on_train_batch_begin=stop), bar])
    assert stream.getvalue().endswith("left\n")


def test_a_notebook_gets_one_display_updated_in_place(monkeypatch, capsys):
    """IPython is played by an object that keeps what it is shown; the real one is not imported."""
    shown = []

    class Handle:
        def update(self, view):
            shown.append((repr(view), view._repr_html_()))

    def display(view, display_id):
        assert display_id is True
        shown.append((repr(view), view._repr_html_()))
        return Handle()

    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    fit(verbose=1)
    assert capsys.readouterr().out == ""
    text, html = shown[-1]
    assert [line[:17] for line in text.splitlines()] == ["Epoch 1/2  loss 1", "Epoch 2/2  loss 1"] or "loss" in text
    assert text.count("\n") == 1
    assert "<progress" not in html
    del shell.kernel  # IPython in a terminal
    fit(verbose=2)
    assert capsys.readouterr().out.count("\n") == 2


def test_no_ipython_is_imported():
    code = PROGRAM + "\nassert 'IPython' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, "arrays"], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_ipython_itself_shows_the_display():
    pytest.importorskip("IPython")
    pytest.importorskip("IPython.display")
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.kernel = object()
    shell.display_pub = CapturingDisplayPublisher(shell=shell)
    try:
        fit(verbose=1)
        outputs = shell.display_pub.outputs
    finally:
        InteractiveShell.clear_instance()
    assert len({output["transient"]["display_id"] for output in outputs}) == 1
    assert [output["update"] for output in outputs][:1] == [False]
    assert all(output["update"] for output in outputs[1:])
    assert "Epoch 2/2  loss" in outputs[-1]["data"]["text/html"]
    assert "Epoch 2/2  loss" in outputs[-1]["data"]["text/plain"]
