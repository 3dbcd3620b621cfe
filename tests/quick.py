"""How XLA compiles for tests, which compile much and compute little: most of their time would go to
making machine code, and to optimizing it. What XLA does with a program before that is as users have
it, and `make smoke` leaves this out."""

import importlib.metadata

FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
if importlib.metadata.version("jaxlib").startswith("0.10."):
    # The older of two ways to make it, and all of a program at once: a quarter of the time. Later
    # versions have only the newer way, and end the process over a flag that they do not know.
    FLAGS += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
