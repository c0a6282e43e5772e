#!/usr/bin/env python3
"""The table of awkward values that CAP's run has too, as Directus holds it: random row conditions find what they say.

`samples.py SEED FOLDER` adds the table to a configuration, and a role for each condition.
"""

import sys
from pathlib import Path

import residuals

STORED = {"number": "decimal", "whole": "integer", "at": "timestamp", "day": "date", "flag": "boolean"}
residuals.FIELDS = """
  samples:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list]
    fields:
      id: int
      organization_id: string
      app_id: string
      text: { type: string, nullable: true }
      word: string
      loose: { type: string, nullable: true, push: loose }
      number: { type: decimal, nullable: true }
      whole: { type: int, nullable: true }
      at: timestamp
      day: { type: date, nullable: true, push: exact }
      flag: { type: bool, nullable: true }
      unsaid: { type: string, nullable: true }
"""

if __name__ == "__main__":
    residuals.configure(int(sys.argv[1]), Path(sys.argv[2]))
