"""``python -m gateway.cli`` is ``caducee``."""

from gateway.cli import main

if __name__ == "__main__":
    main()
