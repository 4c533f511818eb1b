"""`python -m carina`, the same as `carina`."""

from carina.cli import main

if __name__ == "__main__":
    main()
