"""``python -m mechsteer`` is ``mechsteer``."""

from mechsteer.cli import main

if __name__ == "__main__":
    main()
