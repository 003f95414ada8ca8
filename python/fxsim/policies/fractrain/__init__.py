"""FracTrain: precision that grows with the run (PFQ) and follows the input (DFQ)."""
