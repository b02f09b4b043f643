"""GRPO with KAWHI's weights in a loop of your own: transformers and torch, nothing else.

    python examples/plain_transformers.py

Each step samples a group of responses to one question, takes alpha from the pass that computes the loss, and trains.
"""

from __future__ import annotations

import kawhi
import torch
from drawn_problems import HEADS, MODEL, right, rows
from transformers import AutoModelForImageTextToText, AutoProcessor

GROUP, STEPS = 8, 2


def main() -> None:
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_pretrained(MODEL, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(MODEL)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    for step, row in enumerate(rows(STEPS)):
        prompt = prompt_of(processor, row["image"], row["question"])
        tokens, mask = sample(model, prompt)
        texts = processor.batch_decode(tokens, skip_special_tokens=True)
        rewards = torch.tensor([right(text, row["answer"]) for text in texts])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-6)

        selected = kawhi.select_visual_tokens(row["image"], processor, seed=kawhi.stable_seed(0, row["index"], step))
        with kawhi.capture(model, heads=HEADS) as seen:
            log_probs = log_probs_of(model, prompt, tokens, mask)
        weights = weights_of(seen, tokens, mask, selected, processor.tokenizer)

        loss = -(log_probs * advantages[:, None] * weights)[mask].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        spread = f"weights from {weights[mask].min():.2f} to {weights[mask].max():.2f}"
        print(f"step {step}: {int(rewards.sum())} of {GROUP} right, {spread}, loss {loss.item():+.4f}")


def weights_of(seen: kawhi.Passes, tokens, mask, selected, tokenizer) -> torch.Tensor:
    """``(B, T)``, one weight for each token of each response: the three lines that are KAWHI's."""
    alpha = seen.alpha(mask, [selected] * len(tokens))
    segments = kawhi.padded_segments(tokens, mask, tokenizer)
    return kawhi.padded_paragraph_weights(alpha, segments, mask)


def prompt_of(processor, image, question: str) -> dict[str, torch.Tensor]:
    """Model inputs of the image and the question."""
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
    text = processor.apply_chat_template(chat, add_generation_prompt=True)
    return dict(processor(images=[image], text=[text], return_tensors="pt"))


@torch.no_grad()
def sample(model, prompt) -> tuple[torch.Tensor, torch.Tensor]:
    """``(B, T)`` responses, and which of the tokens are theirs: up to the end token."""
    sampling = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    ids = model.generate(**prompt, **sampling, num_return_sequences=GROUP, max_new_tokens=64)
    tokens = ids[:, prompt["input_ids"].shape[1] :]
    ends = torch.isin(tokens, torch.tensor(model.generation_config.eos_token_id)).int()
    return tokens, ends.cumsum(dim=1) - ends == 0


def log_probs_of(model, prompt, tokens, mask) -> torch.Tensor:
    """``(B, T)`` of the response tokens, by one pass over prompts and responses."""
    count, length = tokens.shape
    ids = torch.cat([prompt["input_ids"].expand(count, -1), tokens], dim=1)
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.cat([prompt["attention_mask"].expand(count, -1), mask.long()], dim=1),
        "mm_token_type_ids": (ids == model.config.image_token_id).int(),
        "pixel_values": prompt["pixel_values"].repeat(count, 1),
        "image_grid_thw": prompt["image_grid_thw"].repeat(count, 1),
    }
    logits = model(**inputs, logits_to_keep=length + 1).logits[:, :-1]
    return logits.log_softmax(dim=-1).gather(2, tokens[:, :, None])[:, :, 0]


if __name__ == "__main__":
    main()
