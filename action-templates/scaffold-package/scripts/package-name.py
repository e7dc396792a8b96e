"""Is the name of a new Python package one that will be regretted?

Reads MODULE; what it says is on the request.
"""

import os
import sys


def main():
    module = os.environ["MODULE"]
    print(f"::output module={module}")
    if module in sys.stdlib_module_names:
        print(f"Python has a module `{module}` of its own, which nobody could import any longer.")
        return 1
    print(f"::progress It is imported as `{module}`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
