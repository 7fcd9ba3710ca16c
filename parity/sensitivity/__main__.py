"""Judge the mutants of the reference rules and write the counts: the worker of ``samestep report``.

``python -m samestep.parity.sensitivity '{"out": "sensitivity.json", "rules": ["Adam"]}'``. Without
``rules`` all rules and the modules that they share are judged, with it the files of these rules
alone. The exit code is 1 if a mutant survives or is wrongly marked as equivalent.
"""

import json
import sys
from pathlib import Path
from typing import Any

from samestep.frameworks.experiment.record import write_whole

from .generated import FILES, RULE_FILES
from .judge import judge_files


def main(arguments: dict[str, Any]) -> int:
    """Judge, write ``arguments["out"]`` and print a line a file; returns the exit code."""
    rules = arguments.get("rules")
    files = FILES if rules is None else [f"reference/{rule.lower()}.py" for rule in rules]
    if unknown := sorted(set(files) - {*FILES, *RULE_FILES}):
        print(
            f"rules must be names of rules, got {rules}; there is no {unknown[0]}", file=sys.stderr
        )
        return 2
    result: dict[str, Any] = {"rows": [], "seconds": 0.0}
    faults: list[str] = []
    for number, file in enumerate(files, start=1):
        judged = judge_files([file])
        (row,) = judged["rows"]
        result["rows"].append(row)
        result["seconds"] += judged["seconds"]
        counts = f"{row['caught']:>4} caught, {row['equivalent']} equivalent"
        line = f"{row['file']:<28}{row['mutants']:>5} mutants, {counts}"
        print(f"{number:4} of {len(files)}  {line}", flush=True)
        faults += [f"survives: {name}" for name in row["survivors"]] + row["wrongly_marked"]
    text = json.dumps(result, indent=1)
    write_whole(Path(arguments["out"]), lambda file: file.write(text.encode()))
    print(*faults, f"{result['seconds']:.1f} processor seconds", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
