"""Tests of Sourceline."""
