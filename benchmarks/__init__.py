"""Speed and memory as ratios, measured side by side in one run: ``make benchmarks``, shown in docs/performance.md."""
