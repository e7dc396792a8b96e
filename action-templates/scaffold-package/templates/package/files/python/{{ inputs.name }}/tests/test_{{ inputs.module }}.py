"""Does the package do what its README says?"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from {{ inputs.module }} import greeting  # noqa: E402


class Greets(unittest.TestCase):
    def test_by_name(self):
        self.assertEqual(greeting("Ada"), "Hello, Ada!")


if __name__ == "__main__":
    unittest.main()
