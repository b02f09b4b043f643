"""The tiny world's rows for lmms-eval."""

import io

from PIL import Image

from kawhi.rewards.boxed import is_correct


def doc_to_visual(doc):
    return [Image.open(io.BytesIO(doc["images"][0]["bytes"])).convert("RGB")]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    return doc["extra_info"]["question"]


def doc_to_target(doc):
    return doc["reward_model"]["ground_truth"]


def process_results(doc, results):
    return {"accuracy": float(is_correct(results[0], doc["reward_model"]["ground_truth"]))}
