"""The gate on prepared data: a Great Expectations suite for every table, critical and warning.

A table is one module here: how its rows become columns, and what is expected of them. `gate` judges a night's
tables, `prepared_sources` those of `python -m data.prepare`; `drift` compares with the champion's data.
"""
