"""The questions the pages ask of the warehouse, all of them, each a SELECT over a read-only connection: a module a page.

How many a page asks is bounded and stands in its module; all ask for the newest attempt, and for the values of the filters.
"""
