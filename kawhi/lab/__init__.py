"""Studies of credit methods without verl's trainer and Ray: training runs of seconds, and a probe without training."""

from kawhi.wheels import torchvision_shim

torchvision_shim.install()  # before anything here imports transformers, which looks for torchvision
