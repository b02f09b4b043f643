"""Where queries, keys, heads and rotary embeddings live in each model family.  transformers only."""

from kawhi.wheels import torchvision_shim

torchvision_shim.install()  # before anything here imports transformers, which looks for torchvision
