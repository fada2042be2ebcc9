"""A small maze that wants memory, by reinforcement learning: episodes follow each other in one stream, with resets.

At the start of a corridor of random length a sign says left or right; at its end the agent turns. The state starts
afresh with each episode, so that a batch of streams is one call of the network.
"""

import torch
from torch import Tensor, nn

from odernn import AntisymmetricRNN


def streams(batch: int, length: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Observations (time, batch, 3): sign left, sign right, junction; resets, junctions and signs (time, batch)."""
    observed, resets = torch.zeros(length, batch, 3), torch.zeros(length, batch, dtype=torch.bool)
    junctions, signs = torch.zeros_like(resets), torch.zeros(length, batch, dtype=torch.long)
    for b in range(batch):
        now = 0
        while now < length:
            corridor, sign = int(torch.randint(3, 8, ())), int(torch.randint(2, ()))
            end = min(now + corridor, length - 1)
            resets[now, b], observed[now, b, sign] = True, 1
            if end == now + corridor:
                observed[end, b, 2], junctions[end, b] = 1, True
            signs[now : end + 1, b] = sign
            now = end + 1
    return observed, resets, junctions, signs


def main(steps: int = 150) -> float:
    """Train by REINFORCE with the mean reward as baseline; the part of the last turns that were right."""
    torch.manual_seed(0)
    rnn, policy = AntisymmetricRNN(3, 32, epsilon=0.5, gamma=0.1), nn.Linear(32, 2)
    optimiser = torch.optim.Adam([*rnn.parameters(), *policy.parameters()], lr=0.01)
    mean = 0.5
    for _ in range(steps):
        observed, resets, junctions, signs = streams(16, 40)
        output, _ = rnn(observed, resets=resets)
        turn = torch.distributions.Categorical(logits=policy(output[junctions]))
        action = turn.sample()
        reward = (action == signs[junctions]).float()
        optimiser.zero_grad()
        (-(reward - mean) * turn.log_prob(action)).mean().backward()
        optimiser.step()
        mean = 0.9 * mean + 0.1 * float(reward.mean())
    print(f"{100 * mean:.0f} % of the turns are right; without memory 50 %")
    return mean


if __name__ == "__main__":
    main()
