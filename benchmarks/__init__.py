"""What tagging costs, beside what else a user would run: ``python -m benchmarks``.

    python -m benchmarks                  # every case, and results/ written
    python -m benchmarks --case hour      # one of them; the others' results stay as they were
    python -m benchmarks --list

Every measured thing runs in a process of its own (`subjects/`), is asked over a small JSON protocol and
tells its time and its memory's peak. A case (`cases/`) asks its subjects in turn, so that what else the
machine does hits all alike, and compares them round by round.
"""
