"""python -m ingest.accesslog: the importer of web server logs, under the name that scripts know."""

import sys

from ingest.importers.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
