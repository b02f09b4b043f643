"""TRL's GRPOTrainer with KAWHI's weights: one subclass.

make examples     # trl 1.16.0 in a folder of its own, since verl 0.9.1 fails beside it
PYTHONPATH=build/examples python examples/trl_grpo.py
"""

from __future__ import annotations

import kawhi
import torch
from datasets import Dataset
from drawn_problems import HEADS, MODEL, right, rows
from trl import GRPOConfig, GRPOTrainer


class KawhiGRPOTrainer(GRPOTrainer):
    """GRPO whose advantages are multiplied by the weight of each paragraph.

    Of every example it takes ``image`` or ``images``, and ``index``, which seeds the sampling of background tokens.  A
    processor that is passed to it pads on the left, as TRL asks.

    Args:
        heads: the model's critical heads; ``None`` for all.
    """

    def __init__(self, *args, heads: list[int] | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.heads = heads

    def _generate_and_score_completions(self, inputs):
        batch = super()._generate_and_score_completions(inputs)
        mask = batch["completion_mask"] * batch.get("tool_mask", 1)
        with torch.no_grad(), kawhi.capture(self.model, heads=self.heads) as seen:
            self._log_probs(batch)
        alpha = seen.alpha(mask, [self._selected(example) for example in inputs])
        segments = kawhi.padded_segments(batch["completion_ids"], mask, self.processing_class.tokenizer)
        self.weights = kawhi.padded_paragraph_weights(alpha, segments, mask)
        batch["advantages"] = batch["advantages"][:, None] * self.weights
        return batch

    def _log_probs(self, batch) -> None:
        """A pass over prompts and completions, as TRL makes for its old log-probs."""
        ids, attention = (
            torch.cat([batch[f"prompt_{of}"], batch[f"completion_{of}"]], dim=1) for of in ("ids", "mask")
        )
        names = ("pixel_values", "image_grid_thw", "num_images", "num_tiles", "mm_token_type_ids", "token_type_ids")
        own = {name: batch[name] for name in names if name in batch}
        size = self.args.per_device_train_batch_size
        self._get_per_token_logps_and_entropies(
            self.model, ids, attention, batch["completion_ids"].shape[1], batch_size=size, **own
        )

    def _selected(self, example):
        images = example["images"] if "images" in example else [example["image"]]
        seed = kawhi.stable_seed(0, example["index"], self.state.global_step)
        return kawhi.select_visual_tokens(images, self.processing_class, seed=seed)


def reward(completions, answer, **_) -> list[float]:
    """1 for the right answer in a box."""
    return [right(each[0]["content"], expected) for each, expected in zip(completions, answer, strict=True)]


def data(count: int) -> Dataset:
    """Rows as TRL wants them: a conversation, to which it adds the image."""
    given = rows(count)
    prompts = [[{"role": "user", "content": row.pop("question")}] for row in given]
    return Dataset.from_list([{"prompt": prompt, **row} for prompt, row in zip(prompts, given, strict=True)])


def settings(folder: str, **more) -> GRPOConfig:
    """Two steps of two questions with four responses each."""
    own = {
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "num_generations": 4,
        "max_completion_length": 64,
        "learning_rate": 1e-5,
        "logging_steps": 1,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": torch.cuda.is_available(),
        "report_to": "none",
        "save_strategy": "no",
    }
    return GRPOConfig(folder, **{**own, **more})


def main() -> None:
    trainer = KawhiGRPOTrainer(
        MODEL,
        reward_funcs=reward,
        args=settings("results/trl"),
        train_dataset=data(16),
        heads=HEADS,
    )
    trainer.train()


if __name__ == "__main__":
    main()
