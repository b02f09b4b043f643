"""Controls: the oracle and its reverse, process rewards, and KAWHI's weights dealt out by chance."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kawhi.credit.methods import ResponseBatch, build, configured, credit
from kawhi.credit.segments import packed_segments
from tests.reference import controls as literal

ORACLE = {"reading": 1.0, "elsewhere": 0.1}
KAWHI = dict(granularity="paragraph", w_min=0.1, w_max=1.0, temperature=0.1, smoothing=0.1, normalize="paper")
TEXTS = (
    "We need x.\n\nI read 3.\n\nSo 3 = 3.\n\nAnswer",
    "One paragraph.",
    "First.\n\nI read 2.",
    "a.\n\nb.\n\nc.\n\nd.",
)

# A response: its verdict, its group, and for each token whether it reads and its advantage.  Empty ones occur.
TOKENS = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.floats(-2, 2, width=32)), max_size=6)
RESPONSES = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from("ab"), TOKENS), min_size=1, max_size=8)


def packed(rows) -> torch.Tensor:
    return torch.tensor([value for row in rows for value in row], dtype=torch.float32)


def batch_of(responses) -> tuple[ResponseBatch, torch.Tensor, list, list]:
    reads = [[mark for mark, _ in tokens] for *_, tokens in responses]
    advantages = [[value for _, value in tokens] for *_, tokens in responses]
    offsets = torch.tensor([0, *map(len, reads)]).cumsum(0)
    right = packed([[verdict] * len(tokens) for verdict, _, tokens in responses])
    signals = {"reads": packed(reads), "reading_right": right}
    groups = [group for _, group, _ in responses]
    batch = ResponseBatch(torch.zeros(int(offsets[-1]), dtype=torch.long), offsets, signals, None, groups)
    return batch, packed(advantages), reads, advantages


@given(RESPONSES, st.sampled_from([(1.0, 0.1), (0.1, 1.0), (1.0, 0.0)]))
def test_the_oracle_weighs_what_reads(responses, weights):
    batch, advantages, reads, _ = batch_of(responses)
    method = build("oracle", reading=weights[0], elsewhere=weights[1])
    assert method.needs == {"reads"}
    base, got = credit(method, batch, advantages)
    assert torch.equal(base, advantages)
    torch.testing.assert_close(got, packed(literal.oracle(reads, *weights)), atol=0, rtol=0)


@given(RESPONSES)
def test_process_gives_readings_an_advantage_of_their_own(responses):
    batch, advantages, reads, rows = batch_of(responses)
    method = build("process", **ORACLE)
    assert method.needs == {"reads", "reading_right"}
    changed, weights = credit(method, batch, advantages)
    verdicts = [verdict if tokens else 0.0 for verdict, _, tokens in responses]  # an empty response reads nothing
    expected = literal.process(rows, reads, verdicts, list(batch.groups))
    torch.testing.assert_close(changed, packed(expected), atol=1e-5, rtol=0)
    assert torch.equal(weights, build("oracle", **ORACLE).weights(batch))
    assert torch.equal(changed[packed(reads) == 0], advantages[packed(reads) == 0])  # to the bit


@pytest.fixture
def answers(tokenizer) -> ResponseBatch:
    ids = [torch.tensor([*tokenizer(text)["input_ids"], tokenizer.eos_token_id]) for text in TEXTS]
    offsets = torch.tensor([0, *map(len, ids), 0]).cumsum(0)  # the last response is empty
    alpha = torch.rand(int(offsets[-1]), generator=torch.Generator().manual_seed(0))
    return ResponseBatch(torch.cat(ids), offsets, {"alignment": alpha}, tokenizer)


def of_paragraphs(weights: torch.Tensor, batch: ResponseBatch) -> list[list[float]]:
    """The weight of each paragraph of each response; every token of a paragraph has it."""
    segments, found = packed_segments(batch.token_ids, batch.offsets, batch.tokenizer), []
    for start, end in pairwise(batch.offsets.tolist()):
        by_paragraph: dict[int, set[float]] = {}
        for segment, weight in zip(segments[start:end].tolist(), weights[start:end].tolist(), strict=True):
            by_paragraph.setdefault(segment, set()).add(weight)
        assert all(len(each) == 1 for each in by_paragraph.values())
        found.append([each.pop() for each in by_paragraph.values()])
    return found


def test_shuffled_weights_are_kawhis_in_another_order(answers):
    own = of_paragraphs(build("kawhi", **KAWHI).weights(answers), answers)
    dealt = [of_paragraphs(build("shuffled", seed=seed, **KAWHI).weights(answers), answers) for seed in range(12)]
    for found in dealt:
        assert [sorted(each) for each in found] == [sorted(each) for each in own]
    assert len({tuple(map(tuple, found)) for found in dealt}) > 6
    assert any(found != own for found in dealt)
    assert dealt[0] == of_paragraphs(build("shuffled", seed=0, **KAWHI).weights(answers), answers)


def test_a_permutation_is_that_of_the_seed_and_the_response_s_tokens(answers):
    own = of_paragraphs(build("kawhi", **KAWHI).weights(answers), answers)
    found = of_paragraphs(build("shuffled", seed=5, **KAWHI).weights(answers), answers)
    for (start, end), before, after in zip(pairwise(answers.offsets.tolist()), own, found, strict=True):
        order = random.Random(f"5/{answers.token_ids[start:end].tolist()}").sample(range(len(before)), len(before))
        assert after == [before[i] for i in order]


def test_weights_that_are_not_finite_are_refused(answers):
    class Broken:
        needs = frozenset()

        def weights(self, batch):
            return torch.full((len(batch.token_ids),), torch.nan)

    with pytest.raises(RuntimeError, match=r"Broken returned weights of which .* are not finite"):
        credit(Broken(), answers, torch.ones(len(answers.token_ids)))


@pytest.mark.parametrize("options", [ORACLE | {"reading": -0.1}, ORACLE | {"elsewhere": float("inf")}])
@pytest.mark.parametrize("name", ["oracle", "process"])
def test_options_outside_their_range_are_refused(name, options):
    with pytest.raises(ValueError, match="must be a finite number of at least 0"):
        build(name, **options)


def test_changed_advantages_cannot_be_multiplied():
    for first, other in ((("process", ORACLE), ("uniform", {})), (("uniform", {}), ("process", ORACLE))):
        with pytest.raises(ValueError, match="cannot be multiplied with others"):
            configured({"method": first[0], "options": first[1], "also": {other[0]: other[1]}})
    product = configured({"method": "kawhi", "options": KAWHI, "also": {"oracle": ORACLE}})
    assert product.needs == {"alignment", "reads"}
