"""AdaPT: word lengths per layer that follow what quantization loses and how diverse gradients are."""
