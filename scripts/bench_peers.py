"""Prints the overhead of a step of the samplers of diffusers and k-diffusion as
Markdown: 64x3x32x32 float32 values, a model that returns the same tensor at no
cost, median over 20 runs of the time of a run over its steps. What cannot be
imported is said to be skipped; a sampler that fails is listed with its error.
"""

import statistics
import time

STEPS = 50
RUNS = 20
SHAPE = (64, 3, 32, 32)

DIFFUSERS = [
    "DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler", "LMSDiscreteScheduler", "PNDMScheduler", "DEISMultistepScheduler", "DPMSolverSinglestepScheduler",
    "DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "SASolverScheduler",
]
K_DIFFUSION = [
    "sample_euler", "sample_euler_ancestral", "sample_heun", "sample_dpm_2", "sample_lms", "sample_dpmpp_2s_ancestral",
    "sample_dpmpp_2m", "sample_dpmpp_sde", "sample_dpmpp_2m_sde", "sample_dpmpp_3m_sde",
]


def per_step(run):
    """Median seconds of a step of run(), which returns its number of steps."""
    run()
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        steps = run()
        times.append((time.perf_counter() - begin) / steps)
    return statistics.median(times)


def report(program, version, names, make):
    print(f"{program} {version}, float32, noise included where a sampler draws it:\n")
    print("| sampler | µs a step |\n| --- | ---: |")
    for name in names:
        try:
            print(f"| {name} | {1e6 * per_step(make(name)):.0f} |")
        except Exception as e:  # one that fails must not hide the others
            print(f"| {name} | failed: {type(e).__name__}: {e} |")
    print()


def diffusers_runs(torch, diffusers):
    x = torch.randn(SHAPE)
    out = torch.randn(SHAPE)

    def make(name):
        def run():
            s = getattr(diffusers, name)()
            s.set_timesteps(STEPS)
            sample = x
            for t in s.timesteps:
                s.scale_model_input(sample, t)
                sample = s.step(out, t, sample).prev_sample
            return len(s.timesteps)

        return run

    return make


def k_diffusion_runs(torch, sampling):
    x = 80 * torch.randn(SHAPE)
    out = torch.randn(SHAPE)
    sigmas = sampling.get_sigmas_karras(STEPS, 0.02, 80.0)

    def make(name):
        sample = getattr(sampling, name)

        def run():
            sample(lambda x, sigma, **kwargs: out, x, sigmas, disable=True)
            return STEPS

        return run

    return make


def main():
    try:
        import torch
    except ImportError as e:
        print(f"diffusers and k-diffusion: skipped, python3 cannot import torch ({e}).")
        return
    torch.set_grad_enabled(False)
    try:
        import diffusers

        report("diffusers", diffusers.__version__, DIFFUSERS, diffusers_runs(torch, diffusers))
    except ImportError as e:
        print(f"diffusers: skipped, python3 cannot import it ({e}).\n")
    try:
        from importlib import metadata

        from k_diffusion import sampling

        report("k-diffusion", metadata.version("k-diffusion"), K_DIFFUSION, k_diffusion_runs(torch, sampling))
    except ImportError as e:
        print(f"k-diffusion: skipped, python3 cannot import it ({e}).")


if __name__ == "__main__":
    main()
