"""`python -m cardbench` is the command `cardbench`."""

from cardbench.scenarios.cli import main

if __name__ == "__main__":
    main()
