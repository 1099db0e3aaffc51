"""Training of the reader: preparation of examples, training, export and evaluation."""
