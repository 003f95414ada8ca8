"""CPT, cyclic precision training: its formulas, and the policy that puts them in order."""
