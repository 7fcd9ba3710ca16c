"""``python -m samestep.report.cli``."""

from samestep.report.cli import main

if __name__ == "__main__":
    main()
