"""The worker of `--peers jax`: a script that runs in JAX's environment, which has nothing else of this repository.

It reads lines of JSON from standard input and answers each with one on standard output; `jax_peers.py` is the other
end. The function is the paper's network: W whole, W - W^T - damping I, Euler's method, one step a sample.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Reply = dict[str, Any]


class Contest:
    """One contender ready for one problem, its functions compiled at their first use.

    Args:
        message: name, case, dt, damping and the file of the inputs, as `prepare` has them.
    """

    def __init__(self, message: Reply) -> None:
        import jax

        with np.load(message["inputs"], allow_pickle=False) as arrays:
            w, v, b, x, self.cotangent = (jax.device_put(arrays[n]) for n in ("w", "v", "b", "x", "cotangent"))
        self.parameters, self.x = (w, v, b), x
        case = message["case"]
        run = {"jax-scan": scan, "diffrax": diffrax_solve}[message["name"]]
        whole = case["output"] == "trajectory"
        forward = network(run, message["dt"], message["damping"], whole)
        self.training = case["work"] in ("training", "memory")
        self.forward = jax.jit(forward)

        def loss(parameters: Any, x: Any, cotangent: Any) -> Any:
            output = forward(parameters, x)
            return (output * cotangent).sum(), output

        self.train = jax.jit(jax.value_and_grad(loss, has_aux=True))
        self.train_and_x = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))

    def time(self) -> float:
        """The seconds of one repetition."""
        import jax

        began = time.perf_counter()
        if self.training:
            jax.block_until_ready(self.train(self.parameters, self.x, self.cotangent))
        else:
            jax.block_until_ready(self.forward(self.parameters, self.x))
        return time.perf_counter() - began

    def answer(self) -> dict[str, Any]:
        """The output and the gradients, under the names that the other end has for them."""
        if not self.training:
            return {"output": np.asarray(self.forward(self.parameters, self.x))}
        (_, output), ((w, v, b), x) = self.train_and_x(self.parameters, self.x, self.cotangent)
        upper = np.triu_indices(len(w), k=1)
        found = {"recurrent.upper": np.asarray(w)[upper], "input_map.weight": v, "input_map.bias": b, "x": x}
        return {name: np.asarray(one) for name, one in {"output": output, **found}.items()}


def network(run: Callable[..., Any], dt: float, damping: float, whole: bool) -> Callable[[Any, Any], Any]:
    """From (w, v, b) and x to the last state, or to all of them if `whole`.

    V x + b stands inside the step, which is faster here than one product for all times before the loop: its gradient
    would be an array of all controls.
    """
    import jax.numpy as jnp

    def forward(parameters: Any, x: Any) -> Any:
        w, v, b = parameters
        matrix = w - w.T - damping * jnp.eye(len(w), dtype=w.dtype)
        y0 = jnp.zeros((x.shape[1], len(w)), x.dtype)
        return run(lambda y, sample: dt * jnp.tanh(y @ matrix.T + (sample @ v.T + b)), y0, x, whole)

    return forward


def scan(increment: Callable[[Any, Any], Any], y0: Any, x: Any, whole: bool) -> Any:
    """jax.lax.scan over the samples."""
    import jax

    def step(y: Any, sample: Any) -> tuple[Any, Any]:
        y = y + increment(y, sample)
        return y, (y if whole else None)

    last, states = jax.lax.scan(step, y0, x)
    return states if whole else last


def diffrax_solve(increment: Callable[[Any, Any], Any], y0: Any, x: Any, whole: bool) -> Any:
    """diffrax's Euler method stepped to the samples, time counted in samples.

    Its adjoint keeps as many checkpoints as there are steps, so that none is made again: the fastest of its exact ones.
    """
    import diffrax
    import jax.numpy as jnp

    steps = len(x)
    ts = jnp.arange(steps + 1, dtype=x.dtype)  # exact up to 2^24
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: increment(y, x[t.astype(int)])),
        diffrax.Euler(),
        t0=ts[0],
        t1=ts[-1],
        dt0=None,
        y0=y0,
        saveat=diffrax.SaveAt(ts=ts[1:]) if whole else diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.StepTo(ts),
        adjoint=diffrax.RecursiveCheckpointAdjoint(checkpoints=steps),
        max_steps=steps,
    )
    return solution.ys if whole else solution.ys[0]


def versions() -> dict[str, str]:
    """The versions of the packages that decide on times."""
    return {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "diffrax", "equinox")}


def reply(message: Reply, contests: dict[str, Contest]) -> Reply:
    """What a message is answered with."""
    do = message["do"]
    if do == "versions":
        return {"versions": versions()}
    if do == "prepare":
        contests[message["key"]] = Contest(message)
        return {}
    contest = contests[message["key"]]
    if do == "time":
        return {"seconds": contest.time()}
    np.savez(message["outputs"], **contest.answer())
    return {}


def limit_threads(count: int) -> None:
    """Keeps the process, whose threads XLA counts by it, on the first `count` of its processors."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def main() -> None:
    """Answers until standard input ends. What else is printed goes to standard error."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    limit_threads(int(sys.argv[1]))
    answers, sys.stdout = sys.stdout, sys.stderr
    contests: dict[str, Contest] = {}
    for line in sys.stdin:
        try:
            said = reply(json.loads(line), contests)
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        answers.write(json.dumps(said) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
