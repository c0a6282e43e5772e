#!/usr/bin/env python3
"""Writes the CSV files that CAP loads when it deploys: `seed.py ROWS FOLDER`. Rows of awkward values come besides."""

import json
import sys
from pathlib import Path

import residuals


def cell(value):
    """An empty cell is null; an empty text stands in quotes."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, (bool, int)) else '"' + value.replace('"', '""') + '"'


samples = residuals.Samples(Path(__file__).with_name("samples.yaml")).rows()
rows, folder = json.loads(Path(sys.argv[1]).read_text()) | {"samples": samples}, Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
for table, records in rows.items():
    lines = [";".join(records[0]), *(";".join(cell(value) for value in record.values()) for record in records)]
    (folder / f"crm-{table}.csv").write_text("\n".join(lines) + "\n")
