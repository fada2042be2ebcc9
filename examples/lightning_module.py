"""Train an AntisymmetricRNN in a lightning module, whose solver is a hyperparameter that a checkpoint keeps."""

import tempfile
from pathlib import Path

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from odernn import ODERNN, AntisymmetricField
from solvers import RK4, Solver


def walks(count: int, length: int = 40) -> TensorDataset:
    """Random walks (count, time, 1), and whether each ends above its start."""
    steps = torch.randn(count, length, 1)
    return TensorDataset(steps, (steps.sum(1).squeeze(-1) > 0).float())


class Sign(L.LightningModule):
    """The sign of the sum of a sequence.

    Args:
        solver: how the field is stepped.
        dt: time from one sample to the next.
    """

    def __init__(self, solver: Solver, dt: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.rnn = ODERNN(AntisymmetricField(1, 16, damping=0.01), solver, dt=dt, batch_first=True)
        self.readout = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The logits (batch,)."""
        _, y_n = self.rnn(x, save="end")
        return self.readout(y_n[-1]).squeeze(-1)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """The loss of a batch."""
        x, label = batch
        return nn.functional.binary_cross_entropy_with_logits(self(x), label)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=0.01)


def main(epochs: int = 3, count: int = 2000) -> dict[str, float]:
    """Train, save, load in another object, and try both on new walks."""
    L.seed_everything(0, verbose=False)
    trainer = L.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    model = Sign(RK4())
    trainer.fit(model, DataLoader(walks(count), batch_size=50, shuffle=True))
    x, label = walks(1000).tensors
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sign.ckpt"
        trainer.save_checkpoint(path)
        loaded = Sign.load_from_checkpoint(path, weights_only=True)
    with torch.no_grad():
        found, again = model.eval()(x), loaded.eval()(x)
    right = float(((found > 0) == (label > 0)).float().mean())
    print(f"{loaded.hparams['solver']} from the checkpoint; {100 * right:.1f} % of new walks are told right")
    return {"right": right, "off": float((found - again).abs().max())}


if __name__ == "__main__":
    main()
