"""The run that the tests compare: of a partitioned field, on a task that is drawn in no time."""

RUN = "adding/hamiltonian-leapfrog"
LENGTH, TRAINING, VALIDATION = 8, 48, 24
TINY = (
    *("--task.sequence_length", str(LENGTH), "--task.train_size", str(TRAINING)),
    *("--task.val_size", str(VALIDATION), "--task.test_size", "8"),
    *("--model.hidden_size", "6", "--trainer.threads", "1", "--trainer.accelerator", "cpu"),
)
