"""vLLM's command line in an environment that may hold wheels for another kind of machine.

``python -m kawhi.evaluation.vllm_server serve MODEL ...`` is ``vllm serve MODEL ...``.
"""

from kawhi.wheels import torchvision_shim, vllm_wheel

# At module level, because a worker that vLLM spawns imports this module again.
torchvision_shim.install()
if vllm_wheel.installed():
    vllm_wheel.install()

if __name__ == "__main__":
    from vllm.entrypoints.cli.main import main

    main()
