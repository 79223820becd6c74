"""Records what torch's optimisers do with given gradients: optimisers.json.

Debian's python3-torch 1.13: /usr/bin/python3 optimisers.py > optimisers.json

Two parameters, [2, 3] and [4]. In step k the gradient of number i, counted
through both, is sin(1 + 3i + 0.7k)·(1 + i/4) + θ_i/8, computed here and in the
test alike. All in float64; floats print with 17 digits.
"""

import json
import math

import torch

STEPS = 20


def start():
    values = [math.cos(2 + 5 * i) for i in range(10)]
    a = torch.tensor(values[:6], dtype=torch.float64).reshape(2, 3)
    b = torch.tensor(values[6:], dtype=torch.float64)
    return [torch.nn.Parameter(a), torch.nn.Parameter(b)]


def set_gradients(params, k):
    i = 0
    for p in params:
        flat = p.detach().reshape(-1)
        grad = torch.zeros_like(flat)
        for j in range(flat.numel()):
            grad[j] = math.sin(1 + 3 * i + 0.7 * k) * (1 + i / 4) + flat[j].item() / 8
            i += 1
        p.grad = grad.reshape(p.shape)


def flat(params):
    return [float(v) for p in params for v in p.detach().reshape(-1)]


def record(rule, make, max_norm=0.0, max_value=0.0):
    params = start()
    opt = make(params)
    values, norms = [], []
    for k in range(STEPS):
        set_gradients(params, k)
        if max_value:
            torch.nn.utils.clip_grad_value_(params, max_value)
        if max_norm:
            norms.append(float(torch.nn.utils.clip_grad_norm_(params, max_norm)))
        opt.step()
        values.append(flat(params))
    case = {"rule": rule, "rate": opt.param_groups[0]["lr"], "max_norm": max_norm, "max_value": max_value, "values": values}
    if norms:
        case["norms"] = norms
    return case


O = torch.optim
cases = [
    record("adam", lambda p: O.Adam(p, lr=1e-3)),
    record("adam(beta1=0.5,beta2=0.9,eps=0.001,decay=0.1)", lambda p: O.Adam(p, lr=0.1, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1)),
    record("adam(beta1=0)", lambda p: O.Adam(p, lr=0.01, betas=(0, 0.999))),
    record("adam(beta2=0.99)", lambda p: O.Adam(p, lr=0.01, betas=(0.9, 0.99)), max_norm=1.0),
    record("adamw", lambda p: O.AdamW(p, lr=0.01)),
    record("adamw(beta1=0.8,beta2=0.95,eps=1e-06,decay=0.3)", lambda p: O.AdamW(p, lr=0.2, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.3), max_value=0.5),
    record("sgd", lambda p: O.SGD(p, lr=0.1)),
    record("sgd(decay=0.2)", lambda p: O.SGD(p, lr=0.1, weight_decay=0.2)),
    record("sgd(momentum=0.9)", lambda p: O.SGD(p, lr=0.01, momentum=0.9)),
    record("sgd(momentum=0.9,dampening=0.3,decay=0.1)", lambda p: O.SGD(p, lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1), max_norm=2.0),
    record("sgd(momentum=0.8,nesterov=true,decay=0.1)", lambda p: O.SGD(p, lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.1)),
]
print(json.dumps({"provenance": f"nn/testdata/optimisers.py, torch {torch.__version__}, float64", "cases": cases}, indent=None, separators=(",", ":")).replace('{"rule"', '\n{"rule"'))
