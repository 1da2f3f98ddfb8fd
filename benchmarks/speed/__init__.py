"""Times tasks in turns on this machine, beside a matrix product and a copy, and beside other packages.

``device_use`` counts what a work asks of its device, and ``budget`` shares a limited time between works.

May import: benchmarks.metrics, benchmarks.evaluate, codecs.
"""
