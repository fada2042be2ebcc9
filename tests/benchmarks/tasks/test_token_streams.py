"""Streams: side by side they are the text, chunk by chunk in its order, and each symbol is a target once."""

import pytest
import torch

from benchmarks.tasks import PTBCharacters
from benchmarks.tasks.loading import EpochOrder
from benchmarks.tasks.token_streams import TokenChunks

VOCABULARY = 7


def chunks(count: int, streams: int, length: int) -> tuple[torch.Tensor, TokenChunks]:
    tokens = torch.randint(VOCABULARY, (count,), generator=torch.Generator().manual_seed(0))
    return tokens, TokenChunks(tokens, streams, length, VOCABULARY)


@pytest.mark.parametrize(("count", "streams", "length"), [(61, 3, 5), (62, 3, 5), (63, 3, 7), (25, 1, 6), (13, 12, 4)])
def test_streams_side_by_side_are_the_text(count: int, streams: int, length: int) -> None:
    tokens, samples = chunks(count, streams, length)
    steps = (count - 1) // streams
    batches = [samples.__getitems__(range(first, first + streams)) for first in range(0, len(samples), streams)]
    x = torch.cat([batch.x for batch in batches], dim=1)
    target = torch.cat([batch.target for batch in batches], dim=1)
    masks = [
        torch.ones(batch.target.shape, dtype=torch.bool) if batch.mask is None else batch.mask for batch in batches
    ]
    mask = torch.cat(masks, dim=1)
    assert (x.sum(2) == 1).all()
    assert mask.sum() == streams * steps  # every pair counts once, and at most streams - 1 are left over
    assert count - 1 - streams * steps < streams
    for stream in range(streams):
        first = stream * steps
        assert torch.equal(x[stream, mask[stream]].argmax(1), tokens[first : first + steps])
        assert torch.equal(target[stream, mask[stream]], tokens[first + 1 : first + steps + 1])


def test_only_the_last_chunk_is_filled_up() -> None:
    _, samples = chunks(61, 3, 6)  # 20 steps a stream
    assert len(samples) == 3 * 4
    masks = [samples.__getitems__(range(first, first + 3)).mask for first in range(0, 12, 3)]
    assert masks[:3] == [None] * 3
    assert masks[3] is not None
    assert masks[3].tolist() == [[True, True, False, False, False, False]] * 3


def test_a_text_that_is_too_short_is_refused() -> None:
    assert len(chunks(13, 12, 4)[1]) == 12
    with pytest.raises(ValueError, match="a text of 12 symbols makes no 12 streams; give a longer one, or a smaller"):
        chunks(12, 12, 4)


@pytest.mark.filterwarnings("ignore::benchmarks.data.errors.DataChecksumWarning")
def test_training_comes_in_the_order_of_the_text_in_every_epoch(small_text_dir) -> None:
    task = PTBCharacters(data_dir=small_text_dir, batch_size=5, sequence_length=8)
    task.setup()
    loader, samples = task.train_dataloader(), task.splits.train
    assert isinstance(samples, TokenChunks)
    assert isinstance(loader.sampler, EpochOrder)
    whole = samples.tokens
    steps = (len(whole) - 1) // 5
    for epoch in (0, 3):
        loader.sampler.set_epoch(epoch)
        read = torch.cat([batch.x[1].argmax(1) for batch in loader])
        assert torch.equal(read[:steps], whole[steps : 2 * steps])


@pytest.mark.filterwarnings("ignore::benchmarks.data.errors.DataChecksumWarning")
def test_tokens_are_spelled_as_they_were_written(small_text_dir) -> None:
    task = PTBCharacters(data_dir=small_text_dir, sequence_length=30)
    task.setup()
    samples = task.splits.test
    assert isinstance(samples, TokenChunks)
    written = (small_text_dir / "ptb.char.test.txt").read_text().split()
    assert task.spell(samples.tokens[:30].unsqueeze(0)) == [written[:30]]
