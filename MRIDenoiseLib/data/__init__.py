"""Pairs and volumes to learn from and to measure on; knows no network."""
