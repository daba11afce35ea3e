"""`python -m twin` is the command line; child processes start this way."""

from twin.cli import main

if __name__ == "__main__":
    main()
