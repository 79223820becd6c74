package dialects

// Registry lists every translator, those of one program together.
func Registry() []Translator {
	return []Translator{
		{"k-diffusion", "sample_euler", kEuler},
		{"k-diffusion", "sample_heun", kHeun},
		{"k-diffusion", "sample_dpm_2", kDPM2},
		{"k-diffusion", "sample_euler_ancestral", kEulerAncestral},
		{"k-diffusion", "sample_lms", kLMS},
		{"k-diffusion", "sample_dpmpp_2m", kDPMPP2M},
		{"deis", "get_sampler", deisSampler},
		{"diff-sampler", "deis_sampler", dsDEIS},
		{"diff-sampler", "dpm_2_sampler", dsDPM2},
		{"diff-sampler", "euler_sampler", dsEuler},
		{"diff-sampler", "heun_sampler", dsHeun},
		{"diff-sampler", "ipndm_sampler", dsIPNDM},
		{"diff-sampler", "ipndm_v_sampler", dsIPNDMV},
		{"diff-sampler", "unipc_sampler", dsUniPC},
		{"diffusers", "EDMEulerScheduler", diffusersEDMEuler},
		{"diffusers", "EulerAncestralDiscreteScheduler", diffusersEulerAncestral},
		{"diffusers", "EulerDiscreteScheduler", diffusersEuler},
		{"diffusers", "FlowMatchEulerDiscreteScheduler", diffusersFlowEuler},
		{"diffusers", "FlowMatchHeunDiscreteScheduler", diffusersFlowHeun},
		{"diffusers", "HeunDiscreteScheduler", diffusersHeun},
		{"diffusers", "KDPM2DiscreteScheduler", diffusersKDPM2},
		{"diffusers", "LMSDiscreteScheduler", diffusersLMS},
		{"diffusers", "SASolverScheduler", diffusersSASolver},
		{"diffusers", "ScoreSdeVeScheduler", diffusersScoreSdeVe},
		{"diffusers", "ScoreSdeVpScheduler", diffusersScoreSdeVp},
		{"diffusers", "UniPCMultistepScheduler", diffusersUniPC},
		{"edm", "ablation_sampler", edmAblation},
		{"edm", "edm_sampler", edmSampler},
		{"unipc", "UniPC.sample", unipcSample},
	}
}
