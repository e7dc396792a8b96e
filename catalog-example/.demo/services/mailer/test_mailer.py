"""Does a customer get no mail that they did not ask for?"""

import unittest

from mailer import may_send


class Kinds(unittest.TestCase):
    def test_advertising_needs_consent(self):
        self.assertFalse(may_send("spring-sale", wants_mail=False))
        self.assertTrue(may_send("spring-sale", wants_mail=True))

    def test_an_invoice_needs_none(self):
        self.assertTrue(may_send("invoice", wants_mail=False))


if __name__ == "__main__":
    unittest.main()
