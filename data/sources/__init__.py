"""Published sets as rows to train on: read, told apart, split, run confined, and what is left out counted.

A source is `KIND:PATH` (`torch2cuda:rows.jsonl`, `generator:500`). To add a kind, add a file to `kinds/`
whose `KIND` says how its rows are read and what a row means; the registry finds it, `--help` names it.

    location ─► readers ─► Row ─► kinds ─► Program ─► intake (twins, splits, confined runs) ─► Kept
                                     └──► Question ─► intake (twins) ───────────────────────► Kept

A row ends as one of three: `Kept`, `LeftOut` with its reason, or `Twin` of one before it. So the numbers of
all three add up to the number of rows.
"""
