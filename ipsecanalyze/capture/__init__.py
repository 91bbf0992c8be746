"""From the octets of a capture to IPsec datagrams: file formats, link layers, IP, UDP and TCP encapsulation.

`reader.py` gives packets, `decoder.py` finds datagrams in them, `writer.py` writes packets back. Of what is inside
IKE, ESP and AH no more is known here than it takes to tell them apart. Importing the package loads nothing.
"""
