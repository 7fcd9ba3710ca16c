"""The norm of torch's Muon's momentum after its first step: half that of the gradient, 4, where momentum is 0.5."""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(4, 4, dtype=torch.bfloat16))
weight.grad = torch.ones_like(weight)
optimizer = torch.optim.Muon([weight], momentum=0.5, nesterov=False)
optimizer.step()
came, due = f"{optimizer.state[weight]['momentum_buffer'].norm().item():.3g}", "2"
print(f"came {came}, due {due}")
sys.exit(came != due)
