"""The training order is a function of (seed, epoch) alone, also in a run that stops and continues."""

from itertools import pairwise

import lightning as L
import pytest
import torch
from torch import Tensor

from benchmarks.data.random_splits import epoch_order
from benchmarks.tasks import TASKS
from benchmarks.tasks.loading import EpochOrder, Share
from tests.benchmarks.image_parts import image_parts


def digits(**arguments):
    task = TASKS["digits"](**arguments)
    task.setup()
    return task


def labels_of(loader, epoch: int) -> Tensor:
    loader.sampler.set_epoch(epoch)
    return torch.cat([batch.target for batch in loader])


def test_an_epoch_is_a_permutation_of_all_samples():
    assert torch.equal(epoch_order(1000, seed=1, epoch=2).sort().values, torch.arange(1000))


def test_the_order_depends_on_seed_and_epoch():
    keys = [(seed, epoch) for seed in range(4) for epoch in range(4)]
    orders = {tuple(epoch_order(1000, seed, epoch).tolist()) for seed, epoch in keys}
    assert len(orders) == len(keys), "two of them share an order, as with seed + epoch"


def test_the_order_is_the_same_on_every_machine():
    # Written down from torch 2.13 on Linux: another value would make finished runs incomparable to new ones.
    assert epoch_order(1000, seed=0, epoch=0)[:6].tolist() == [238, 404, 377, 39, 713, 53]


def test_the_order_ignores_the_global_generator_and_leaves_it_alone():
    task = digits()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = labels_of(task.train_dataloader(), 2)
    list(task.val_dataloader())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(labels_of(task.train_dataloader(), 2), first)


def test_the_loader_yields_the_samples_in_that_order():
    task = digits(seed=5)
    loader = task.train_dataloader()
    for epoch in (0, 3, 1):
        order = epoch_order(len(task.splits.train), seed=5, epoch=epoch)
        assert torch.equal(labels_of(loader, epoch), image_parts(task.splits).train.labels[order])


def test_the_seed_governs_the_order_and_nothing_else():
    one, other = digits(seed=0), digits(seed=1)
    for part in ("train", "val", "test"):
        assert torch.equal(getattr(one.splits, part).pixels, getattr(other.splits, part).pixels)
    assert not torch.equal(labels_of(one.train_dataloader(), 0), labels_of(other.train_dataloader(), 0))


def test_an_iterator_made_before_the_epoch_is_set_follows_it():
    order = EpochOrder(100, 0, Share())
    early = iter(order)
    order.set_epoch(4)
    assert [draw.row for draw in early] == epoch_order(100, 0, 4).tolist()


class Recorder(L.LightningModule):
    """Notes the labels of each training batch under the number of its epoch; trains one number."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[int, list[int]] = {}

    def training_step(self, batch, index):
        self.seen.setdefault(self.current_epoch, []).extend(batch.target.tolist())
        return self.number**2

    def validation_step(self, batch, index):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fitted(epochs: int, folder, resumed_from=None) -> dict[int, list[int]]:
    recorder = Recorder()
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(recorder, datamodule=TASKS["digits"](seed=3), ckpt_path=resumed_from)
    trainer.save_checkpoint(folder / f"{epochs}.ckpt")
    return recorder.seen


# Batches of tensors in memory need no workers, which lightning recommends whatever the data are.
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_lightning_sets_the_epoch_and_a_resumed_run_goes_on_in_the_same_order(tmp_path):
    whole = fitted(4, tmp_path)
    begun = fitted(2, tmp_path)
    resumed = fitted(4, tmp_path, resumed_from=tmp_path / "2.ckpt")
    assert sorted(begun) == [0, 1]
    assert sorted(resumed) == [2, 3]
    assert begun | resumed == whole
    assert all(one != other for one, other in pairwise(whole.values()))
    assert all(len(seen) == 1297 for seen in whole.values())
