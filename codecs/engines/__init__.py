"""A codec's networks as graphs: exported for other programs, and run here by ONNX Runtime or OpenVINO.

``graphs`` creates them, ``formats`` writes and loads them, ``engine`` runs them instead of a codec's own
networks, ``folder`` exports them, ``check`` compares an export with the codec.

May import: codecs.io and all below it.
"""
