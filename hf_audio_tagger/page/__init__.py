"""The report: a page of a tagged dataset that opens in a browser, without a server and without a network.

`web/FORMAT.md` says which files a report has. Rows are read twice, and only the columns that the page shows:

    tagged.py      what `report` is given, opened, as `tables.py` and `predicted.py` read it
    layout.py      which columns are shown, and as what
    survey.py      first reading: how many clips, the folder that they share, their embeddings
    similar.py     similar clips, and a map in two dimensions
    clips.py       second reading: rows as clips
    agreement.py   tags beside a dataset's own labels
    sounds.py      numbers of sounds, with the ontology's categories above them
    columns.py     numbers of all clips, packed for filters
    lines.py       what a search looks through
    media.py       links, previews, posters and peaks; `pictures.py` and `previews.py` make them
    writing.py     clips to files of data, part by part; `scripts.py` escapes and packs
    head.py        facts, settings, failures
    folder.py      a folder, or one file, written whole or not at all
    making.py      all of these in their order
    report.py      `report`; `notebook.py` shows it inline
"""
