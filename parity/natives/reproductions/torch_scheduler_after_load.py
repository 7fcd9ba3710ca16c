"""Go on from step 1 with a scheduler that is made after the optimizer's state was loaded.

The next step must have the rate 0.1 / 2 that the saved run has.
"""

import sys

import torch

saved, new = (torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1) for _ in range(2))
scheduler = torch.optim.lr_scheduler.LambdaLR(saved, factor := lambda step: 1 / (1 + step))
_ = saved.step(), scheduler.step()
new.load_state_dict(saved.state_dict())
torch.optim.lr_scheduler.LambdaLR(new, factor).load_state_dict(scheduler.state_dict())
got = new.param_groups[0]["lr"]
print(f"got {got}, expected {saved.param_groups[0]['lr']}")
sys.exit(got != saved.param_groups[0]["lr"])
