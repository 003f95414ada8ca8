"""MuPPET, multi-precision policy enforced training: its formulas, and the policy that puts them in order."""
