"""verl 0.9.1 on a machine without an accelerator, from outside: one module per library that has to be bent.

``VERL_USE_EXTERNAL_MODULES=kawhi.verl_plugin.cpu.platform`` loads it in every process that imports verl;
``VERL_PLATFORM=cpu`` switches it on.
"""
