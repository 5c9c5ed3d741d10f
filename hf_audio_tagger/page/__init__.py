"""The report: a page of a tagged dataset that opens in a browser, without a server and without a network.

`web/FORMAT.md` says which files a report has. Rows are read twice, and only the columns that the page shows:

    tables.py       what is reported, as Arrow tables: a `Dataset`, or the Parquet files of a run
    predictions.py  labelled predictions as such tables
    survey.py       first time: how many clips, the folder that they share, their embeddings
    similar.py      neighbours of clips, and a map of them in two dimensions
    clips.py        second time: rows as clips
    labels.py       a clip's own labels, and how far its tag differs from them
    sounds.py       numbers of sounds, with the ontology's categories above them
    columns.py      numbers of all clips, packed for filters
    objects.py      what one sees of a clip
    media.py        links, previews, posters and peaks; `pictures.py` and `previews.py` make them
    head.py         facts, settings, failures
    scripts.py      the files of data
    writing.py      the second time, from clips to files
    folder.py       a folder, or one file, written whole or not at all
    report.py       `report`; `notebook.py` shows it inline
"""
