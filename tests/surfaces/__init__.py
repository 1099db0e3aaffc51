"""Tests of the console and the plain renderings."""
