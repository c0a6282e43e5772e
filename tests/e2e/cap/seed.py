#!/usr/bin/env python3
"""Writes the CSV files that CAP loads when it deploys: `seed.py ROWS FOLDER`. Rows of awkward values come besides."""

import json
import sys
from pathlib import Path

import data
import residuals

# Of the notes that every upstream may hold, what two tables here hold of them.
REMARKS = ["id", "owner_id", "written", "rank", "region", "hidden", "organization_id", "app_id"]


def cell(value):
    """An empty cell is null; an empty text stands in quotes."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:f}"
    return str(value).lower() if isinstance(value, (bool, int)) else '"' + value.replace('"', '""') + '"'


samples = residuals.Samples(Path(__file__).with_name("samples.yaml")).rows()
notes = data.build()["notes"]
remarks = [{name: note[name] for name in REMARKS} for note in notes[:60]]
more = {"samples": samples, "notes": notes, "drafts": remarks, "memos": remarks}
rows, folder = json.loads(Path(sys.argv[1]).read_text()) | more, Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
for table, records in rows.items():
    lines = [";".join(records[0]), *(";".join(cell(value) for value in record.values()) for record in records)]
    (folder / f"crm-{table}.csv").write_text("\n".join(lines) + "\n")
