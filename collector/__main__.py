"""`python -m collector` is `regulars`."""

from collector.cli import main

if __name__ == "__main__":
    main()
