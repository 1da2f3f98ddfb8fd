"""A codec's networks as graphs: exported for other programs, and run here by ONNX Runtime or OpenVINO.

``graphs`` makes them, ``formats`` writes and loads them, ``engine`` puts them in the place of a codec's own networks
(``windows``: for long recordings), ``folder`` exports them, ``check`` compares what was exported with the codec.

May import: codecs (its parts, layers and io), quantizers.
"""
