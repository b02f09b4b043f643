"""``kawhi explain``: one page and one picture that show which paragraph of an answer looked at the image.

``settings`` says how credit is computed, ``gather`` and ``training`` compute it into the plain data of ``content``,
``page`` and ``picture`` draw that, ``command`` is the command line.
"""
