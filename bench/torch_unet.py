"""Times the networks of networks.json in torch, the peer that `snrlab bench` is
held against: the forward pass and a training step, images a second, peak memory.

The module here computes what diffusers' UNet2DModel computes, has its parameter
names and reads its config.json; options outside this benchmark are refused.
`--check FOLDER` holds it to a recorded case (config.json, weights, io.npz,
param_grads.json) in float64.

JSON goes to stdout, a table to stderr. Every row is a process of its own, so
that no row pays for another's memory, and torch has each of its usual ways to
be fast: both memory layouts, oneDNN, a frozen graph for the forward pass, the
foreach form of the optimiser. The best row is torch's. "cpu" is the least time of
all threads together, waiting for each other included: where it is far below
best × threads, other programs had the processor.
"""

import argparse
import itertools
import json
import math
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HERE = pathlib.Path(__file__).parent

# The options read here with diffusers' defaults, and those read nowhere here
# with the one value that this module computes.
DEFAULTS = dict(
    sample_size=None, in_channels=3, out_channels=3, freq_shift=0, flip_sin_to_cos=True, block_out_channels=(224, 448, 672, 896),
    down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
    up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    layers_per_block=2, downsample_padding=1, attention_head_dim=8, norm_num_groups=32, norm_eps=1e-5,
)
FIXED = dict(
    center_input_sample=False, time_embedding_type="positional", mid_block_type="UNetMidBlock2D", mid_block_scale_factor=1,
    downsample_type="conv", upsample_type="conv", dropout=0, act_fn="silu", attn_norm_num_groups=None,
    resnet_time_scale_shift="default", add_attention=True, class_embed_type=None, num_class_embeds=None, num_train_timesteps=None,
)


def read_config(path):
    c = dict(DEFAULTS)
    for key, value in json.loads(path.read_text()).items():
        if key in FIXED and value != FIXED[key]:
            sys.exit(f"{path}: {key} is {value!r}: this benchmark has {FIXED[key]!r} only")
        if key in DEFAULTS:
            c[key] = value
        elif key not in FIXED and not key.startswith("_"):
            sys.exit(f"{path}: unknown field {key!r}")
    for key, kinds in ("down_block_types", ("DownBlock2D", "AttnDownBlock2D")), ("up_block_types", ("UpBlock2D", "AttnUpBlock2D")):
        for kind in c[key]:
            if kind not in kinds:
                sys.exit(f"{path}: {key} has {kind}: this benchmark has {' and '.join(kinds)} only")
    return argparse.Namespace(**c)


def silu(x):
    """SiLU of a value that nothing else reads: in place where no gradient needs it."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


class TimeEmbedding(nn.Module):
    def __init__(self, features, units):
        super().__init__()
        self.linear_1 = nn.Linear(features, units)
        self.linear_2 = nn.Linear(units, units)

    def forward(self, x):
        return self.linear_2(silu(self.linear_1(x)))


class Resnet(nn.Module):
    def __init__(self, c, channels, out):
        super().__init__()
        self.norm1 = nn.GroupNorm(c.norm_num_groups, channels, c.norm_eps)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.time_emb_proj = nn.Linear(4 * c.block_out_channels[0], out)
        self.norm2 = nn.GroupNorm(c.norm_num_groups, out, c.norm_eps)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x, time):
        h = self.conv1(silu(self.norm1(x)))
        h = h + self.time_emb_proj(F.silu(time))[:, :, None, None]
        h = self.conv2(silu(self.norm2(h)))
        return self.conv_shortcut(x) + h


class Attention(nn.Module):
    def __init__(self, c, channels):
        super().__init__()
        self.heads = channels // (c.attention_head_dim or channels)
        self.group_norm = nn.GroupNorm(c.norm_num_groups, channels, c.norm_eps)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x):
        rows, channels, height, width = x.shape
        n, d = height * width, channels // self.heads

        def split(y):  # rows, n, channels to rows · heads, n, d
            if self.heads == 1:
                return y
            return y.view(rows, n, self.heads, d).transpose(1, 2).reshape(rows * self.heads, n, d)

        y = self.group_norm(x).permute(0, 2, 3, 1).reshape(rows, n, channels)
        q, k, v = split(self.to_q(y)), split(self.to_k(y)), split(self.to_v(y))
        y = torch.bmm(torch.softmax(torch.bmm(q * d**-0.5, k.transpose(1, 2)), dim=-1), v)
        if self.heads > 1:
            y = y.view(rows, self.heads, n, d).transpose(1, 2).reshape(rows, n, channels)
        return x + self.to_out[0](y).view(rows, height, width, channels).permute(0, 3, 1, 2)


class Downsample(nn.Module):
    def __init__(self, c, channels):
        super().__init__()
        self.one_sided = c.downsample_padding == 0
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=c.downsample_padding)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.one_sided else x)


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Down(nn.Module):
    def __init__(self, c, kind, channels, out, last):
        super().__init__()
        self.resnets = nn.ModuleList(Resnet(c, channels if k == 0 else out, out) for k in range(c.layers_per_block))
        attends = kind == "AttnDownBlock2D"
        self.attentions = nn.ModuleList(Attention(c, out) if attends else nn.Identity() for _ in self.resnets)
        self.downsamplers = nn.ModuleList([] if last else [Downsample(c, out)])

    def forward(self, x, time, skips):
        for resnet, attention in zip(self.resnets, self.attentions):
            x = attention(resnet(x, time))
            skips.append(x)
        for downsample in self.downsamplers:
            x = downsample(x)
            skips.append(x)
        return x


class Middle(nn.Module):
    def __init__(self, c, channels):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(c, channels, channels), Resnet(c, channels, channels)])
        self.attentions = nn.ModuleList([Attention(c, channels)])

    def forward(self, x, time):
        x = self.attentions[0](self.resnets[0](x, time))
        return self.resnets[1](x, time)


class Up(nn.Module):
    def __init__(self, c, kind, channels, skips, out, last):
        super().__init__()
        ins = [(channels if k == 0 else out) + skip for k, skip in enumerate(skips)]
        self.resnets = nn.ModuleList(Resnet(c, n, out) for n in ins)
        attends = kind == "AttnUpBlock2D"
        self.attentions = nn.ModuleList(Attention(c, out) if attends else nn.Identity() for _ in self.resnets)
        self.upsamplers = nn.ModuleList([] if last else [Upsample(out)])

    def forward(self, x, time, skips):
        for resnet, attention in zip(self.resnets, self.attentions):
            x = attention(resnet(torch.cat([x, skips.pop()], dim=1), time))
        for upsample in self.upsamplers:
            x = upsample(x)
        return x


class UNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        widths = c.block_out_channels
        first, last = widths[0], len(widths) - 1
        half = first // 2
        # float32 whatever the weights are, and in diffusers' order: what recorded cases contain.
        exponent = -math.log(1e4) * torch.arange(half, dtype=torch.float32)
        self.frequencies = torch.exp(exponent / (half - c.freq_shift))
        self.cosines_first = c.flip_sin_to_cos
        self.conv_in = nn.Conv2d(c.in_channels, first, 3, padding=1)
        self.time_embedding = TimeEmbedding(first, 4 * first)
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        skips, channels = [first], first
        for i, (kind, out) in enumerate(zip(c.down_block_types, widths)):
            self.down_blocks.append(Down(c, kind, channels, out, i == last))
            skips += [out] * (c.layers_per_block + (i < last))
            channels = out
        self.mid_block = Middle(c, channels)
        for i, (kind, out) in enumerate(zip(c.up_block_types, reversed(widths))):
            taken = [skips.pop() for _ in range(c.layers_per_block + 1)]
            self.up_blocks.append(Up(c, kind, channels, taken, out, i == last))
            channels = out
        self.conv_norm_out = nn.GroupNorm(c.norm_num_groups, first, c.norm_eps)
        self.conv_out = nn.Conv2d(first, c.out_channels, 3, padding=1)

    def forward(self, x, timesteps):
        angle = timesteps[:, None].float() * self.frequencies
        waves = [torch.cos(angle), torch.sin(angle)] if self.cosines_first else [torch.sin(angle), torch.cos(angle)]
        time = self.time_embedding(torch.cat(waves, dim=1).to(x.dtype))
        x = self.conv_in(x)
        skips = [x]
        for block in self.down_blocks:
            x = block(x, time, skips)
        x = self.mid_block(x, time)
        for block in self.up_blocks:
            x = block(x, time, skips)
        return self.conv_out(silu(self.conv_norm_out(x)))


# The peer computes the same function.


def read_safetensors(path):
    """The F32 tensors of a file: a length, a JSON header, the values."""
    raw = path.read_bytes()
    begin = 8 + int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, t in json.loads(raw[8:begin]).items():
        if name == "__metadata__":
            continue
        if t["dtype"] != "F32":
            sys.exit(f"{path}: {name} is {t['dtype']}: expected F32")
        low, high = (begin + offset for offset in t["data_offsets"])
        tensors[name] = torch.from_numpy(np.frombuffer(raw[low:high], "<f4").reshape(t["shape"]).copy())
    return tensors


# Recorded cases contain sines of float32, whose last bit (6e-8) is each build's own; all else is float64.
TOLERANCE = 1e-6


def check(folder):
    """Whether output and gradients are those of the recorded case."""
    model = UNet(read_config(folder / "config.json")).double()
    model.load_state_dict(read_safetensors(folder / "diffusion_pytorch_model.safetensors"))
    io = {key: torch.from_numpy(value) for key, value in np.load(folder / "io.npz").items()}
    x = io["x"].requires_grad_()
    output = model(x, io["timesteps"])
    (output * io["loss_weight"]).mean().backward()
    recorded = json.loads((folder / "param_grads.json").read_text())
    largest = max(g["l2"] for g in recorded.values())
    parameters = dict(model.named_parameters())
    if parameters.keys() != recorded.keys():
        sys.exit(f"{folder}: parameters differ: {sorted(parameters.keys() ^ recorded.keys())}")
    errors = {
        "output": ((output - io["output"]).abs().max() / io["output"].std()).item(),
        "grad_x": ((x.grad - io["grad_x"]).abs().max() / io["grad_x"].abs().max()).item(),
        "parameters": max(
            max(abs(p.grad.norm().item() - g["l2"]), abs(p.grad.sum().item() - g["sum"]), abs(p.grad.flatten()[0].item() - g["first"])) / largest
            for p, g in ((parameters[name], g) for name, g in recorded.items())
        ),
    }
    ok = max(errors.values()) <= TOLERANCE
    print(f"{folder.name}: {'ok' if ok else 'DIFFERS'}:", ", ".join(f"{k} {v:.1e}" for k, v in errors.items()))
    return ok


# Timing.


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def make_pass(network, way):
    """The function to time: the forward pass or a training step of a network."""
    c = read_config(HERE / network["config"])
    torch.manual_seed(0)
    layout = getattr(torch, way["layout"])
    model = UNet(c).float().to(memory_format=layout)
    x = torch.randn(network["batch"], c.in_channels, c.sample_size, c.sample_size).to(memory_format=layout)
    target = torch.randn(network["batch"], c.out_channels, c.sample_size, c.sample_size).to(memory_format=layout)
    timesteps = torch.randint(0, 1000, (network["batch"],))
    if way["pass"] == "forward":
        model.eval()
        with torch.no_grad():
            if way["graph"] == "frozen":
                model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, (x, timesteps))))

        def forward():
            with torch.no_grad():
                model(x, timesteps)

        return forward
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, foreach=way["foreach"])

    def step():
        optimiser.zero_grad(set_to_none=True)
        F.mse_loss(model(x, timesteps), target).backward()
        optimiser.step()

    return step


def measure(network, way, seconds):
    imported = peak_bytes()
    run = make_pass(network, way)
    for _ in range(3):  # a frozen graph is compiled in its first two runs
        run()
    times, cpu = [], []
    while len(times) < 5 or sum(times) < seconds:
        begin, begin_cpu = time.perf_counter(), time.process_time()
        run()
        times.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - begin_cpu)
    best = min(times)
    return dict(
        best_s=best, median_s=statistics.median(times), cpu_s=min(cpu), runs=len(times), images_per_s=network["batch"] / best,
        peak_bytes=peak_bytes(), import_bytes=imported,
    )


WAYS = [
    {"pass": "forward", "layout": layout, "graph": graph}
    for graph, layout in itertools.product(("eager", "frozen"), ("contiguous_format", "channels_last"))
] + [
    {"pass": "step", "layout": layout, "foreach": foreach}
    for foreach, layout in itertools.product((False, True), ("contiguous_format", "channels_last"))
]


def describe(way):
    extra = way["graph"] if way["pass"] == "forward" else "foreach" if way["foreach"] else "one by one"
    return f"{way['layout'].removesuffix('_format')}, {extra}"


def profile(network, way):
    """Where the time of a pass goes, by torch's operators."""
    run = make_pass(network, way)
    for _ in range(3):
        run()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as p:
        for _ in range(3):
            run()
    print(f"\n{network['name']}, {way['pass']}, {describe(way)}:", file=sys.stderr)
    print(p.key_averages().table(sort_by="self_cpu_time_total", row_limit=16, max_name_column_width=40), file=sys.stderr)


def main():
    networks = json.loads((HERE / "networks.json").read_text())
    names = [n["name"] for n in networks]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", choices=names, help="one network (may be repeated); all without it")
    parser.add_argument("--seconds", type=float, default=2, help="time for each row, at least five runs (default 2)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default 2)")
    parser.add_argument("--profile", action="store_true", help="print where the time goes, in place of timing")
    parser.add_argument("--check", type=pathlib.Path, nargs="+", metavar="FOLDER", help="compare with recorded cases, in place of timing")
    parser.add_argument("--row", type=json.loads, help=argparse.SUPPRESS)  # one way of one network: the process of a row
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    chosen = [n for n in networks if not a.network or n["name"] in a.network]
    if a.check:
        sys.exit(0 if all([check(folder) for folder in a.check]) else 1)
    if a.profile:
        for network, way in itertools.product(chosen, WAYS):
            if way["layout"] == "channels_last" and way.get("graph") != "frozen" and not way.get("foreach"):
                profile(network, way)
        return
    if a.row:
        print(json.dumps(measure(chosen[0], a.row, a.seconds)))
        return
    rows = []
    print(f"torch {torch.__version__}, {a.threads} threads, float32", file=sys.stderr)
    print(f"{'network':14}{'batch':>6}  {'pass':9}{'how':28}{'best ms':>9}{'median':>9}{'cpu ms':>9}{'images/s':>10}{'peak MB':>9}", file=sys.stderr)
    for network, way in itertools.product(chosen, WAYS):
        command = [sys.executable, __file__, "--network", network["name"], "--seconds", str(a.seconds), "--threads", str(a.threads)]
        done = subprocess.run([*command, "--row", json.dumps(way)], stdout=subprocess.PIPE, text=True, check=True)
        row = dict(network=network["name"], batch=network["batch"], **way, **json.loads(done.stdout))
        rows.append(row)
        print(
            f"{row['network']:14}{row['batch']:6}  {row['pass']:9}{describe(way):28}{1e3 * row['best_s']:9.1f}{1e3 * row['median_s']:9.1f}"
            f"{1e3 * row['cpu_s']:9.1f}{row['images_per_s']:10.1f}{row['peak_bytes'] / 1e6:9.0f}", file=sys.stderr, flush=True,
        )
    json.dump(dict(program="torch", version=torch.__version__, threads=a.threads, rows=rows), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
