"""Notes that explain many tables: a page folds them away, a report has them once."""

from analysis import chance, efficiency_table, methods
from analysis.compared_table import PRINTED_NOTE
from analysis.paper_table import BASE_NOTE

SHARED = (chance.METHODS, BASE_NOTE, PRINTED_NOTE, *methods.NOTES, *efficiency_table.NOTES)
