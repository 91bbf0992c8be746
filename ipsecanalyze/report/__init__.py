"""Documents for people and other programs: text, ladders, HTML, Markdown, CSV, DataFrames, plots.

A report renders a document (`ipsecanalyze.shapes`) and knows neither packets nor records. Every text that came out of
a packet passes one of the escapes of `text.py` on its way. Reports with a `write` method follow `base.Reporter`.
"""
