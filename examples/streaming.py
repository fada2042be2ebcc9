"""A network that takes sample after sample: the numbers of the whole sequence, and the time that a sample takes."""

from time import perf_counter

import torch

from odernn import AntisymmetricRNN


def main(samples: int = 2_000) -> dict[str, float]:
    """Run two layers over a sequence at once, and over a stream of it."""
    torch.manual_seed(0)
    rnn = AntisymmetricRNN(3, 64, 2, epsilon=0.1, gamma=0.1).eval()
    x = torch.randn(samples, 1, 3)
    with torch.no_grad():
        whole, _ = rnn(x)
    stream = rnn.stream()
    start = perf_counter()
    outputs = [stream(sample) for sample in x]
    seconds = (perf_counter() - start) / samples
    off = float((torch.stack(outputs) - whole).abs().max())
    print(f"{1e6 * seconds:.0f} microseconds a sample; at most {off:.1e} off the whole sequence at once")
    return {"seconds": seconds, "off": off}


if __name__ == "__main__":
    main()
