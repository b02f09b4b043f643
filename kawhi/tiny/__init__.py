"""The tiny worlds, their models and their checkpoints."""

from kawhi.wheels import torchvision_shim

torchvision_shim.install()  # before anything here imports transformers, which looks for torchvision
