"""A layer as a recurrent module of torchrl: steps while it acts, whole streams with resets while it learns.

A sign is shown at the start of a corridor; three samples later the agent turns left or right. The collector calls the
policy step by step and puts `is_init` where an episode begins; the loss calls it once for all samples and episodes.
"""

import torch
from tensordict import TensorDict, TensorDictBase  # pyright: ignore
from tensordict.nn import TensorDictModule, TensorDictModuleBase, TensorDictSequential  # pyright: ignore
from torch import nn
from torchrl.data import Binary, Categorical, Composite, Unbounded  # pyright: ignore
from torchrl.envs import EnvBase, InitTracker, TensorDictPrimer, TransformedEnv  # pyright: ignore
from torchrl.modules import ProbabilisticActor, recurrent_mode, set_recurrent_mode  # pyright: ignore

from odernn import ODERNN, AntisymmetricField


class Recurrent(TensorDictModuleBase):
    """A layer with `batch_first`: (observation, is_init, state) to (features, the next state)."""

    in_keys = ("observation", "is_init", "state")
    out_keys = ("features", ("next", "state"))

    def __init__(self, layer: ODERNN) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Run (batch, time) with `is_init` as resets in torchrl's recurrent mode, one sample else."""
        x, begins, state = (tensordict[key] for key in self.in_keys)
        if recurrent_mode():
            features, _ = self.layer(x, state[:, 0].unsqueeze(0), resets=begins.squeeze(-1))
            return tensordict.set("features", features)
        features, _ = self.layer.step(x, state.masked_fill(begins, 0))
        return tensordict.set("features", features).set(("next", "state"), features)


class Corridor(EnvBase):
    """As many corridors as the batch is large; the reward is 1 for the turn that the sign has shown."""

    def __init__(self, batch: int, length: int = 4) -> None:
        super().__init__(batch_size=[batch])
        self.length = length
        self.observation_spec = Composite(observation=Unbounded((batch, 3)), shape=[batch])
        self.action_spec = Categorical(2, shape=(batch,))
        self.reward_spec = Unbounded((batch, 1))
        self.done_spec = Binary(1, shape=(batch, 1), dtype=torch.bool)
        self.sign, self.place = torch.zeros(batch, dtype=torch.long), 0

    def _reset(self, tensordict: TensorDictBase | None) -> TensorDictBase:
        self.sign, self.place = torch.randint(2, self.batch_size), 0
        observation = nn.functional.one_hot(self.sign, 3).float()
        done = torch.zeros(*self.batch_size, 1, dtype=torch.bool)
        return TensorDict({"observation": observation, "done": done}, self.batch_size)

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        self.place += 1
        done = self.place == self.length
        observation = torch.tensor([0.0, 0.0, float(self.place == self.length - 1)]).expand(*self.batch_size, 3)
        reward = (tensordict["action"] == self.sign).float().unsqueeze(-1) * done
        ended = torch.full((*self.batch_size, 1), done)
        return TensorDict({"observation": observation, "reward": reward, "done": ended}, self.batch_size)

    def _set_seed(self, seed: int | None) -> None:
        torch.manual_seed(seed or 0)


def main(steps: int = 60, batch: int = 64) -> dict[str, float]:
    """Train by REINFORCE: how many of the last turns were right, and how far the two modes are apart."""
    torch.manual_seed(0)
    recurrent = Recurrent(ODERNN(AntisymmetricField(3, 16), "heun", dt=0.5, batch_first=True))
    logits = TensorDictModule(nn.Linear(16, 2), in_keys=["features"], out_keys=["logits"])
    parts = TensorDictSequential(recurrent, logits)
    policy = ProbabilisticActor(parts, in_keys=["logits"], distribution_class=torch.distributions.Categorical)
    env = TransformedEnv(Corridor(batch), InitTracker())
    env = env.append_transform(TensorDictPrimer({"state": Unbounded(16)}, expand_specs=True, default_value=0.0))
    optimiser, right, off = torch.optim.Adam(policy.parameters(), lr=0.02), 0.5, 0.0
    for _ in range(steps):
        with torch.no_grad():
            data = env.rollout(12, policy, break_when_any_done=False)
        with set_recurrent_mode(True):
            seen = parts(data.select(*recurrent.in_keys))
        off = max(off, float((seen["features"] - data["features"]).detach().abs().max()))
        turns = data["next", "done"].squeeze(-1)
        chosen = torch.distributions.Categorical(logits=seen["logits"][turns]).log_prob(data["action"][turns])
        reward = data["next", "reward"][turns].squeeze(-1)
        optimiser.zero_grad()
        (-(reward - right) * chosen).mean().backward()
        optimiser.step()
        right = 0.8 * right + 0.2 * float(reward.mean())
    print(f"{100 * right:.0f} % of the turns are right; a whole call is within {off:.0e} of the steps")
    return {"right": right, "off": off}


if __name__ == "__main__":
    main()
