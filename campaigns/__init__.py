"""What the package must withstand: ``python -m campaigns fuzz|kill|disk|hostile``.

    python -m campaigns fuzz                 # 10,000 damaged files, through each decoder
    python -m campaigns kill --count 4       # a short form; the same seed gives the same
    python -m campaigns hostile --only NAME  # one case again

| campaign | what it does | what must hold |
|---|---|---|
| `fuzz` | mutants of every container, through a map's batch | each file has its answer |
| `kill` | SIGKILL at random moments, to a run and to its workers | the same result in the end |
| `disk` | disks that are full | an error that says so; then the same result |
| `hostile` | servers, file names and recipes that mean harm | an error in time that says which |

Each prints its counts and keeps what broke, with the command that repeats it. The exit code is 0 only if
nothing broke.
"""
