"""The run that the tests compare: of a partitioned field, on a task that is drawn in no time."""

RUN = "adding/hamiltonian-leapfrog"
VALIDATION = 24
TINY = (
    *("--task.sequence_length", "12", "--task.train_size", "48"),
    *("--task.val_size", str(VALIDATION), "--task.test_size", "8"),
    *("--model.hidden_size", "6", "--trainer.threads", "1", "--trainer.accelerator", "cpu"),
)
