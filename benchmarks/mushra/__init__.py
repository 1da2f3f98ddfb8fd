"""Listening tests by ITU-R BS.1534 (MUSHRA): a page to rate on, a server that collects, and what the ratings say."""
