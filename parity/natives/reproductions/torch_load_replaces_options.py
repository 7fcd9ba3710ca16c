"""Load the state of Adam into AdamW, to go on with a weight decay.

The decay of 0.1 that the new optimizer was made with must stay, or loading be refused.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.ones(1))
adam, adamw = torch.optim.Adam([weight]), torch.optim.AdamW([weight], weight_decay=0.1)
adamw.load_state_dict(adam.state_dict())
got = adamw.param_groups[0]["weight_decay"]
print(f"got {got}, expected 0.1")
sys.exit(got != 0.1)
