"""Two bidirectional layers on packed text: each letter that was blotted out is read off those on both sides."""

import random

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from odernn import AntisymmetricRNN

LETTERS = "abcdefghijklmnopqrstuvwxyz "
BLOT = len(LETTERS)
NOUNS = ("bank", "share", "price", "market", "bond", "trader", "index", "company")
VERBS = ("rose", "fell", "gained", "lost", "held", "slipped")
ENDS = ("on monday", "in heavy trading", "a share", "after the report", "to a record")


def sentence() -> str:
    """A line of the kind that stands in the Penn Treebank, of 12 to 45 letters."""
    words = ["the", random.choice(NOUNS), random.choice(VERBS)]
    return " ".join(words + [random.choice(ENDS)] * random.randint(0, 1))


def batch(size: int) -> tuple[list[Tensor], list[Tensor]]:
    """Sentences with a letter in six blotted out, and the sentences."""
    whole = [torch.tensor([LETTERS.index(letter) for letter in sentence()]) for _ in range(size)]
    seen = [line.masked_fill(torch.rand(len(line)) < 1 / 6, BLOT) for line in whole]
    return seen, whole


class Reader(nn.Module):
    """Letters in, for each place the scores of all letters out."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(LETTERS) + 1, 24)
        self.rnn = AntisymmetricRNN(24, 48, num_layers=2, bidirectional=True, dropout=0.1, epsilon=0.5, gamma=0.3)
        self.readout = nn.Linear(96, len(LETTERS))

    def forward(self, lines: list[Tensor]) -> Tensor:
        """The scores of all letters of all lines, in the order of a PackedSequence."""
        output, _ = self.rnn(pack_sequence([self.embed(line) for line in lines], enforce_sorted=False))
        return self.readout(output.data)


def main(steps: int = 400) -> float:
    """Train, and print which part of the blots is read right."""
    torch.manual_seed(0)
    random.seed(0)
    model = Reader()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.005)
    right = 0.0
    for _ in range(steps):
        seen, whole = batch(32)
        blotted = pack_sequence(seen, enforce_sorted=False).data == BLOT
        target = pack_sequence(whole, enforce_sorted=False).data
        scores = model(seen)
        optimiser.zero_grad()
        nn.functional.cross_entropy(scores[blotted], target[blotted]).backward()
        optimiser.step()
        right = 0.9 * right + 0.1 * float((scores[blotted].argmax(1) == target[blotted]).float().mean())
    print(f"{100 * right:.0f} % of the blots are read right; by chance {100 / len(LETTERS):.0f} %")
    return right


if __name__ == "__main__":
    main()
