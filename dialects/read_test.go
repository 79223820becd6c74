package dialects

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snrlab/schedules"
	"snrlab/solvers"
)

func mustRead(t *testing.T, name string, steps int) *Reading {
	t.Helper()
	r, err := Read(name, steps)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRead_Names(t *testing.T) {
	for name, want := range map[string]struct{ solver, schedule, spacing string }{
		"DPM++ 2M Karras":      {"dpmpp-2m", "on-path(path=ve,schedule=beta(kind=scaled-linear))", "karras(last=zero)"},
		"dpmpp_2m exponential": {"dpmpp-2m", "on-path(path=ve,schedule=beta(kind=scaled-linear))", "uniform-lambda(last=zero)"},
		"Euler a":              {"euler-ancestral", "on-path(path=ve,schedule=beta(kind=scaled-linear))", "uniform-t(last=zero)"},
		"Heun normal":          {"heun", "on-path(path=ve,schedule=beta(kind=scaled-linear))", "uniform-t(last=zero)"},
		"euler(s_churn=3)":     {"euler(schurn=3)", "on-path(path=ve,schedule=beta(kind=scaled-linear))", "uniform-t(last=zero)"},
		"edm_sampler(S_churn=40,S_min=0.05,S_max=50)":                             {"heun(schurn=40,stmin=0.05,stmax=50)", "edm", "karras(last=zero)"},
		"sample_lms(order=2,schedule.name=vp)":                                    {"ab2(last=own)", "", ""},
		"EulerDiscreteScheduler(timestep_spacing=leading,steps_offset=1)":         {"euler", "on-path(path=ve,schedule=beta(bstart=0.0001,bend=0.02))", "leading(offset=1)"},
		"EulerDiscreteScheduler(timestep_spacing=trailing,beta_schedule=sigmoid)": {"euler", "on-path(path=ve,schedule=beta(kind=sigmoid,bstart=0.0001,bend=0.02))", "trailing"},
	} {
		r := mustRead(t, name, 8)
		if r.Solver != want.solver || want.schedule != "" && (r.Schedule != want.schedule || r.Spacing != want.spacing) {
			t.Errorf("%s: %s on %s of %s, expected %v", name, r.Solver, r.Spacing, r.Schedule, want)
		}
		if r.NoRecipe != "" {
			t.Errorf("%s has no recipe: %s", name, r.NoRecipe)
		}
	}
}

// Every name of the lists is understood, and its recipe makes its levels.
func TestRead_Property(t *testing.T) {
	for _, n := range nicknames() {
		for _, l := range levelNames {
			r, err := Read(n.names[len(n.names)-1]+" "+l.names[len(l.names)-1], 7)
			if err != nil {
				t.Error(err)
				continue
			}
			if r.NoRecipe != "" {
				continue
			}
			s, err := schedules.Parse(r.Schedule)
			if err != nil {
				t.Fatal(err)
			}
			k, err := schedules.ParseSpacing(r.Spacing)
			if err != nil {
				t.Fatal(err)
			}
			g, err := k.Grid(s, r.Steps)
			if err != nil || !sameGrid(g, r.translation.Grid) {
				t.Errorf("%s: the recipe's levels %v are not %v: %v", r.Asked, g.Noises(), r.translation.Grid.Noises(), err)
			}
			if _, err := solvers.Parse(r.Solver); err != nil {
				t.Errorf("%s: %v", r.Asked, err)
			}
		}
	}
}

// The levels of user interfaces, from their definitions on a table whose σ are
// known: ᾱ = 1/(1 + i²) has σ/α = i, one more than the index.
func TestRead_Levels(t *testing.T) {
	var tr training
	for i := 1; i <= 9; i++ {
		tr.logAlphaBar = append(tr.logAlphaBar, -math.Log1p(float64(i*i)))
	}
	for name, want := range map[string][]float64{
		"normal":       {9, 5, 1, 0},
		"simple":       {9, 6, 3, 0},
		"ddim_uniform": {8, 5, 2, 0},
		"kl_optimal":   {9, math.Tan((math.Atan(9) + math.Atan(1)) / 2), 1, 0},
		"sgm_uniform":  {9, math.Exp(math.Log(6) + (1./3)*math.Log(7./6)), math.Exp(math.Log(3) + (2./3)*math.Log(4./3)), 0},
		"beta":         {9, 7, 3, 0},
	} {
		for _, l := range levelNames {
			if !slices.Contains(l.names, name) {
				continue
			}
			got := l.of(tr, 3)
			if len(got) != len(want) {
				t.Errorf("%s: %v, expected %v", name, got, want)
				continue
			}
			for i := range want {
				if math.Abs(got[i]-want[i]) > 1e-9 {
					t.Errorf("%s: %v, expected %v", name, got, want)
					break
				}
			}
		}
	}
	// A line, and a parabola that leaves it with the same slope: at the joint the
	// second difference is half of the parabola's.
	v := linearQuadratic(40)
	bend := func(i int) float64 { return v[i-1] - 2*v[i] + v[i+1] }
	if v[0] != 1 || v[40] != 0 || math.Abs(v[20]-0.975) > 1e-12 || math.Abs(bend(10)) > 1e-12 ||
		math.Abs(bend(20)-bend(30)/2) > 1e-12 || math.Abs(bend(39)-bend(30)) > 1e-12 || !(bend(30) < 0) {
		t.Errorf("linear_quadratic: %v", v)
	}
}

func TestRead_Same(t *testing.T) {
	if same := mustRead(t, "Euler", 5).Same; !slices.Contains(same, "ddim") || !slices.Contains(same, "EulerDiscreteScheduler") || slices.Contains(same, "heun") {
		t.Errorf("Euler is the same as %v", same)
	}
	// On the path of EDM the time is σ; elsewhere the two differ.
	if same := mustRead(t, "ablation_sampler(discretization=vp,schedule=vp,scaling=vp)", 5).Same; slices.Contains(same, "heun") {
		t.Errorf("Heun in the time of a process is the same as %v", same)
	}
	if same := mustRead(t, "Euler a", 5).Same; !slices.Contains(same, "ddpm") || slices.Contains(same, "euler") {
		t.Errorf("Euler a is the same as %v", same)
	}
}

func TestRead_Refuses(t *testing.T) {
	for name, want := range map[string]string{
		"DPM++ 2N":                    `did you mean "DPM++ 2M"`,
		"euler_cfg_pp":                "no equal here: its steps mix",
		"sample_euler(s_churn=1":      "expected name(key=value",
		"sample_euler(chrun=1)":       `unknown field "chrun" in args`,
		"sample_euler(foo.bar=1)":     `unknown group "foo"`,
		"EulerDiscreteScheduler(a=1)": `unknown field "a" in config`,
		"heun(s_churn=x)":             "expected a number",
		"UniPC(order=9)":              "order = 9",
		"EulerDiscreteScheduler(beta_schedule=scaled_linear,use_karras_sigmas=true,use_beta_sigmas=true)": "expected one of them at most",
		"EulerDiscreteScheduler(timestep_spacing=leading,steps_offset=900)":                               "use a smaller offset",
		"HeunDiscreteScheduler(rescale_betas_zero_snr=true)":                                              "zero SNR",
	} {
		if _, err := Read(name, 10); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected %q", name, err, want)
		}
	}
	if _, err := Read("Euler", 0); err == nil {
		t.Error("no steps were read")
	}
}

func TestReadConfig(t *testing.T) {
	r, err := ReadConfig("x.json", []byte(`{"_class_name":"EulerDiscreteScheduler","_diffusers_version":"0.6.0","beta_schedule":"scaled_linear",
		"beta_start":0.00085,"beta_end":0.012,"clip_sample_range":1,"trained_betas":null,"steps_offset":1,"timestep_spacing":"leading"}`), 8)
	if err != nil {
		t.Fatal(err)
	}
	if r.Spacing != "leading(offset=1)" || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "no use for clip_sample_range") {
		t.Errorf("read %+v", r)
	}
	for text, want := range map[string]string{
		`{"_class_name":"EulerDiscretScheduler"}`:        `did you mean "EulerDiscreteScheduler"`,
		`{"_class_name":"EulerDiscreteScheduler","b":1}`: `unknown field "b" in config`,
		`{"beta_start":1}`:                               "no _class_name",
		`[1]`:                                            "expected the JSON object",
		`{"_class_name":"EulerDiscreteScheduler"} {}`:    "more text",
		`{"_class_name":"EulerDiscreteScheduler","beta_start":"0.1"}`:       "config.beta_start",
		`{"_class_name":"EulerDiscreteScheduler","num_train_timesteps":-1}`: "num_train_timesteps",
		`{"_class_name":"EulerDiscreteScheduler","trained_betas":[0.1,2]}`:  "below 1",

		`{"_class_name":"EulerDiscreteScheduler","num_train_timesteps":1e11}`:                                  "config.num_train_timesteps is 1e11: expected a whole number of at most 2³¹",
		`{"_class_name":"EulerDiscreteScheduler","beta_schedule":"cubic"}`:                                     `is "cubic" (expected one of linear, scaled_linear`,
		`{"_class_name":"DPMSolverMultistepScheduler","solver_order":7}`:                                       "config.solver_order is 7: expected 1 to 3",
		`{"_class_name":"DDIMScheduler","rescale_betas_zero_snr":true}`:                                        "ε says nothing of x₀",
		`{"_class_name":"DPMSolverMultistepScheduler","use_karras_sigmas":true,"use_exponential_sigmas":true}`: "use_karras_sigmas and use_exponential_sigmas: expected one of them",
		`{"_class_name":"EulerDiscreteScheduler","trained_betas":[]}`:                                          "config",
	} {
		if _, err := ReadConfig("x.json", []byte(text), 8); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected %q", text, err, want)
		}
	}
}

// Whatever a config holds is an error or a translation, never a panic.
func FuzzReadConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"_class_name":"EulerDiscreteScheduler","beta_schedule":"laplace","rescale_betas_zero_snr":true,"prediction_type":"sample"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<12 || strings.Contains(string(text), "num_train_timesteps") {
			return // a large table takes long
		}
		_, _ = ReadConfig("fuzz.json", text, 5)
	})
}
