"""The arithmetic of a training step: its precision, and a stop at the first NaN or infinity."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


class DivergenceError(RuntimeError):
    """A term of the loss is NaN or infinite; the message names the step and the term."""


def autocast(device: str | torch.device) -> torch.autocast:
    """Return a context of bfloat16 arithmetic where the device computes in it, and of float32 where it does not.

    A processor without bfloat16 instructions emulates them, slower than float32.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able: dict[str, Any] = getattr(
            torch.cpu, "get_capabilities", dict
        )()  # older PyTorch does not say: then float32
        fast = kind == "cpu" and bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return torch.autocast(kind, torch.bfloat16, enabled=fast)


def finite(step: int, **terms: Tensor) -> list[float]:
    """Return the values of scalar terms, in one transfer from the device.

    Raises DivergenceError with the step and each term that is NaN or infinite; call it before the optimiser's step, and
    the weights are still those of the step before.
    """
    values: list[float] = torch.stack([term.detach().float() for term in terms.values()]).tolist()
    broken = [f"{name} is {value}" for name, value in zip(terms, values, strict=True) if not np.isfinite(value)]
    if broken:
        raise DivergenceError(
            f"Training stopped in step {step}: {', '.join(broken)}. The weights are those before this step; "
            "look at what feeds that term (is product_of_experts right?), or lower the learning rate."
        )
    return values
