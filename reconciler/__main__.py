"""Where the command `reconciler` begins.

What is imported stays until the end. To look through it for garbage while it grows, and once more at the end, takes as
long as half of the imports.
"""

import gc

gc.disable()

from reconciler.cli.root import main  # noqa: E402

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main()
