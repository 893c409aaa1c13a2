"""Around a call: forks, threads, Ctrl-C, numbers that are none, denormals, memory, the choice of instruction set."""

import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from recurra import _core


def plan_and_data(cell="lstm", rows=32, steps=20, width=64, units=64, dtype="float32"):
    rng = np.random.default_rng(0)
    plan = _core.Recurrent(cell, width, units, dtype=dtype)
    return plan, rng.normal(0, 0.1, plan.size).astype(dtype), rng.normal(size=(rows, steps, width)).astype(dtype)


def script(text, **environment):
    """Run Python code in a process of its own; return it finished."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_after_a_parallel_call_finishes():
    done = script("""
        import os, signal
        import numpy as np
        from recurra import _core
        plan = _core.Recurrent("lstm", 64, 64, dtype="float32")
        weights, x = np.full(plan.size, 0.01, np.float32), np.ones((64, 20, 64), np.float32)
        _core.set_num_threads(2)
        y = plan.forward(weights, x)[0]
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(0 if np.array_equal(plan.forward(weights, x)[0], y) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert np.array_equal(plan.forward(weights, x)[0], y)
    """)
    assert done.returncode == 0, done.stderr


def test_threads_may_share_a_layer():
    plan, weights, x = plan_and_data()
    other = (weights * 1.5).astype(np.float32)

    def work(index):
        w = other if index % 2 else weights
        y, _, _, tape = plan.vjp(w, x)
        gradients = np.zeros(plan.size, np.float32)
        dx = tape.backward(np.ones_like(y), None, None, gradients)[0]
        return y, dx, gradients

    expected = [work(0), work(1)]
    with ThreadPoolExecutor(4) as pool:
        for index, result in enumerate(pool.map(work, range(24))):
            for one, same in zip(result, expected[index % 2], strict=True):
                np.testing.assert_array_equal(one, same)


INTERRUPTED = """
    import os, signal, threading, time
    import numpy as np
    from recurra import _core
    plan = _core.Recurrent("lstm", {units}, {units}, dtype="float32")
    weights, x = np.full(plan.size, 0.001, np.float32), np.ones(({rows}, {steps}, {units}), np.float32)
    sent = []
    def interrupt():
        time.sleep(0.3)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    try:
        while True:
            {call}
    except KeyboardInterrupt:
        print(time.perf_counter() - sent[0])
    y = plan.forward(weights, x[:1, :2])[0]  # still fit for use
    assert np.isfinite(y).all()
"""


@pytest.mark.parametrize(
    "call", ["plan.forward(weights, x)", "plan.vjp(weights, x)[3].backward(x, None, None, np.zeros(plan.size, 'f'))"]
)
@pytest.mark.parametrize("sizes", [(512, 64, 400), (64, 2, 60000)])
def test_ctrl_c_stops_a_long_call_soon(call, sizes):
    units, rows, steps = sizes
    done = script(INTERRUPTED.format(units=units, rows=rows, steps=steps, call=call))
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.4, "0.1 s on a quiet machine"


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_numbers_that_are_none_stay_in_their_row(cell, value):
    plan, weights, x = plan_and_data(cell, rows=9, units=20)
    clean = plan.forward(weights, x)[0]
    x[4, 3, 2] = value
    y = plan.forward(weights, x)[0]
    np.testing.assert_array_equal(np.delete(y, 4, 0), np.delete(clean, 4, 0))
    np.testing.assert_array_equal(y[4, :3], clean[4, :3])
    if np.isnan(value):
        assert np.isnan(y[4, 3:]).all()


def test_denormals_do_not_slow_a_call_down():
    plan, weights, x = plan_and_data(steps=100)
    _core.set_num_threads(1)

    def seconds(x):
        times = []
        for _ in range(7):
            start = time.perf_counter()
            plan.forward(weights, x)
            times.append(time.perf_counter() - start)
        return min(times)

    weights[-8 * 64 :] = 0  # no biases: zero input and tiny input decay
    assert seconds(x * np.float32(1e-38)) < 3 * seconds(x)


def test_the_callers_floating_point_mode_is_restored():
    plan, weights, x = plan_and_data()
    tiny = np.array([1e-40], np.float32)
    plan.forward(weights, x)
    assert (tiny * np.float32(0.5))[0] > 0


def test_memory_stays_flat_under_changing_shapes():
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    if not os.path.exists("/proc/self/statm"):
        pytest.skip("needs /proc")
    rng = np.random.default_rng(1)
    plan, weights, _ = plan_and_data(units=48)
    gradients = np.zeros_like(weights)

    def calls(count):
        for _ in range(count):
            x = rng.normal(size=(int(rng.integers(1, 40)), int(rng.integers(1, 60)), 64)).astype(np.float32)
            y, _, _, tape = plan.vjp(weights, x)
            tape.backward(y, None, None, gradients)

    calls(300)
    before = resident()
    calls(600)
    assert resident() - before < 32 << 20


def test_each_row_of_the_table_is_compiled_for_its_instruction_set():
    # a * a - 1 with a = 1 + 2^-30 is 2^-29 + 2^-60 when rounded once, 2^-29 when rounded twice.
    a = 1 + 2.0**-30
    for isa in _core.config()["cpu_isas"]:
        assert (_core.fused_on(isa, a, a, 1.0) != 2.0**-29) == (isa != "baseline")


def test_the_environment_chooses_the_instruction_set():
    for isa in _core.config()["cpu_isas"]:
        done = script("from recurra import _core; print(_core.isa())", RECURRA_ISA=isa)
        assert done.stdout.strip() == isa
    done = script("from recurra import _core", RECURRA_ISA="mmx")
    assert "RECURRA_ISA: expected an instruction set that this CPU and this build have, got mmx; choose" in done.stderr


def test_the_environment_chooses_the_number_of_threads():
    done = script("from recurra import _core; print(_core.get_num_threads())", RECURRA_NUM_THREADS="3")
    assert done.stdout.strip() == ("3" if _core.config()["threading"] == "openmp" else "1")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_cpu_affinity_is_respected():
    done = script("""
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        from recurra import _core
        print(_core.get_num_threads())
    """)
    assert done.stdout.strip() == "1"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_threads_that_part_may_still_run_where_they_might_before():
    done = script("""
        import os
        every = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(every)})  # threads are born on one processor
        import numpy, recurra
        recurra.set_num_threads(2)
        layer, x = recurra.LSTM(64), numpy.zeros((32, 50, 64), "float32")
        layer(x)
        threads = os.listdir("/proc/self/task")
        for thread in threads:
            os.sched_setaffinity(int(thread), every)
        for _ in range(20):
            layer(x)
        assert all(os.sched_getaffinity(int(thread)) == every for thread in threads)
        """)
    assert done.returncode == 0, done.stderr
