"""Results that no run has made, for the tests of what is made of results."""

from benchmarks.objectives import OBJECTIVES
from benchmarks.report.result import DataFile, EpochMetrics, RunResult, Scores, Seconds
from benchmarks.support.provenance import Commit, Machine


def make_result(
    task: str = "digits",
    row: str = "antisymmetric",
    *,
    title: str | None = None,
    seed: int = 0,
    test: float | None = 0.9,
    epochs: int = 3,
    solver: str | None = "euler",
    dt: float = 0.1,
    parameters: int = 9_674,
    training: float = 60.0,
    verified: bool = True,
    objective: str = "classification",
    variants: tuple[str, ...] = (),
) -> RunResult:
    """The result of a run of `epochs` epochs; `test` is its first metric, None for a run that diverged."""
    names = [metric.name for metric in OBJECTIVES[objective].metrics]
    history = [
        EpochMetrics(
            n,
            {"loss": 2.0 / n} | dict.fromkeys(names, n / 10),
            {"loss": 1.9 / n} | dict.fromkeys(names, n / 11),
            0.001,
            training / epochs,
        )
        for n in range(1, epochs + 1)
    ]
    model = {"hidden_size": 128} | ({"kind": row} if solver is None else {"solver": solver, "dt": dt})
    ode = None if solver is None else "antisymmetric"
    return RunResult(
        task=task,
        row=row,
        title=title or row,
        seed=seed,
        status="diverged" if test is None else "finished",
        failure="the training loss is nan in epoch 2 at step 3" if test is None else None,
        objective=objective,
        metrics=None if test is None else {name: Scores(0.95, 0.91, test) for name in names},
        best_epoch=None if test is None else epochs,
        epochs=epochs,
        parameters=parameters,
        field=ode,
        solver=solver,
        adjoint=ode and "autograd",
        engine=ode and "torch",
        hold=ode and "zero-order",
        dt=dt if ode else None,
        substeps=1 if ode else None,
        seconds=Seconds(training, training / epochs, 0.5),
        commit=Commit("0" * 40, False),
        versions={"python": "3.11", "torch": "2.13"},
        machine=Machine("Linux", "a processor", 2, 1, "cpu"),
        data={"images": DataFile("0" * 64, verified)},
        variants=list(variants),
        settings={"epochs": epochs, "seed": seed, "model": model},
        history=history,
        finished="2026-01-01T00:00:00+00:00",
    )
