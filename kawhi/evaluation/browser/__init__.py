"""``kawhi samples``: one HTML file to browse the samples of a run; no request leaves it.

``gather`` turns a run directory into plain data, ``page`` puts them into ``page.html`` with ``page.css`` and
``page.js``, which shows one sample at a time.
"""
