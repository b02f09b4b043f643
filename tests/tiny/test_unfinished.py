"""Responses that have ended are not computed any more, and the others come out as if they were."""

from itertools import islice

import pytest
import torch

from kawhi.tiny.architectures import build_model, build_processor
from kawhi.tiny.unfinished import FEWEST, decode_unfinished
from kawhi.tiny.world import problems
from tests.tiny.made import prompts

ROWS, LENGTH = 40, 60


@pytest.fixture
def asked(family, tokenizer):
    """A padded batch of prompts."""
    return prompts(build_processor(family, tokenizer), family, list(islice(problems("train", 5), ROWS)))


def sampled(family, tokenizer, asked, leave_out: bool) -> tuple[torch.Tensor, list[int]]:
    """Sequences of a model that often ends a response, and how many rows each pass computed."""
    model = build_model(family, tokenizer, seed=2).to(torch.float32).eval()
    end = int(tokenizer.eos_token_id)
    head = model.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.zeros(head.out_features))
    head.bias.data[end] = 4.0
    computed = []
    model.model.language_model.register_forward_hook(
        lambda module, args, given, output: computed.append(len(output.last_hidden_state)), with_kwargs=True
    )
    if leave_out:
        decode_unfinished(model, end)
    torch.manual_seed(0)
    options = dict(do_sample=True, max_new_tokens=LENGTH, eos_token_id=end, pad_token_id=tokenizer.pad_token_id)
    first = model.generate(**asked, **options)
    again = model.generate(**asked, **options)  # a second batch starts with all of its rows
    return torch.cat([first.flatten(), again.flatten()]), computed


def test_the_same_tokens_come_out_of_fewer_rows(family, tokenizer, asked):
    """When the third line fails, transformers leaves out what has ended by itself."""
    wanted, all_rows = sampled(family, tokenizer, asked, leave_out=False)
    found, fewer = sampled(family, tokenizer, asked, leave_out=True)
    assert set(all_rows) == {ROWS}
    assert torch.equal(found, wanted)
    assert len(fewer) == len(all_rows)
    assert sum(fewer) < 0.8 * sum(all_rows)
    assert min(fewer) >= FEWEST
    assert fewer.count(ROWS) >= 2
