#!/usr/bin/env python3
"""Writes the rows that every upstream serves as the CSV files that CAP loads when it deploys: `seed.py ROWS FOLDER`."""

import csv
import json
import sys
from pathlib import Path

rows, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
for table, records in rows.items():
    with (folder / f"crm-{table}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, records[0], delimiter=";")
        writer.writeheader()
        for record in records:
            writer.writerow({k: str(v).lower() if isinstance(v, bool) else v for k, v in record.items() if v is not None})
