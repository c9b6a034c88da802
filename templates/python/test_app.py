import unittest

from app import answer
from service import Request


class AppTest(unittest.TestCase):
    def test_the_greeting_names_the_path(self):
        response = answer(Request("GET", "/world"))
        self.assertEqual(response.status, 200)
        self.assertEqual(response.body, "Hello from Python! You asked for /world\n")


if __name__ == "__main__":
    unittest.main()
