"""Times tasks in turns on this machine, beside a matrix product and a copy, and beside other packages.

``machine`` has the product and the copy, ``device_use`` counts launches on a device, and ``budget`` shares a limited
time between tasks.

May import: benchmarks.evaluate, benchmarks.metrics, codecs, quantizers.
"""
