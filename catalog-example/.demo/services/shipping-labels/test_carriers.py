"""Is the cheapest carrier chosen?"""

import unittest

from carriers import cheapest


class Cheapest(unittest.TestCase):
    def test_light_and_heavy_parcels_go_different_ways(self):
        self.assertEqual(cheapest(1), ("blue", 3.9))
        self.assertEqual(cheapest(4), ("yellow", 4.6))

    def test_nobody_carries_a_sofa(self):
        self.assertIsNone(cheapest(60))


if __name__ == "__main__":
    unittest.main()
