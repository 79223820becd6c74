package dialects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Reading is what a name or a config of another program means here.
type Reading struct {
	Asked    string   `json:"asked"`
	Program  string   `json:"program,omitempty"` // whose sampler it is
	Sampler  string   `json:"sampler,omitempty"`
	Steps    int      `json:"steps"` // of the solver
	Schedule string   `json:"schedule"`
	Spacing  string   `json:"spacing"`
	Solver   string   `json:"solver"`
	Quirks   []string `json:"quirks,omitempty"` // see docs/quirks.md
	Notes    []string `json:"notes,omitempty"`
	Same     []string `json:"same,omitempty"`      // other names of the same method
	NoRecipe string   `json:"no_recipe,omitempty"` // why there is none

	translation *Translation
}

// Read reads the name of a sampler:
//
//	DPM++ 2M Karras                     as web interfaces write it
//	dpmpp_2m_sde_gpu karras             as ComfyUI does: sampler, levels
//	sample_dpmpp_2m_sde(eta=0.5)        a function of k-diffusion, EDM or the toolboxes, with arguments
//	EulerDiscreteScheduler(use_karras_sigmas=true)   a class of diffusers with its config
//
// Arguments belong to the sampler (diffusers: to the config); those of another
// group are written group.key, such as schedule.sigma_min, step.eta or
// set_timesteps.mu. Where nothing is said, k-diffusion runs on the Karras levels
// of Stable Diffusion.
func Read(name string, steps int) (*Reading, error) {
	if steps < 1 || steps > maxSteps {
		return nil, fmt.Errorf("dialects: %d steps: expected 1 to %d", steps, maxSteps)
	}
	if n, args, levels, sigmas, ok := findNickname(name, steps); ok {
		return readNickname(name, n, args, levels, sigmas)
	}
	head, args, err := spec.Split(name)
	if err != nil {
		if head, _, brackets := strings.Cut(name, "("); brackets && !strings.Contains(head, " ") {
			return nil, fmt.Errorf("dialects: %s: %w", name, err)
		}
		return nil, unknownName(name)
	}
	for _, t := range Registry() {
		if t.Sampler == head {
			r, err := asRun(t, args, steps)
			if err != nil {
				return nil, err
			}
			return readRun(name, r)
		}
	}
	return nil, unknownName(name)
}

// readNickname reads a name of a user interface.
func readNickname(asked string, n nickname, args, levels string, sigmas []float64) (*Reading, error) {
	inner := n.is
	if args != "" {
		inner = strings.TrimSuffix(n.is, ")")
		if inner == n.is {
			inner += "("
		} else {
			inner += ","
		}
		inner += args + ")"
	}
	if !strings.HasPrefix(n.is, "sample_") {
		s, err := solvers.Parse(inner)
		if err != nil {
			return nil, fmt.Errorf("dialects: %s: %w", asked, err)
		}
		return newReading(asked, Run{}, onStableDiffusion(&Translation{Grid: gridOf(veLevel, sigmas), Solver: s}), levels)
	}
	head, list, err := spec.Split(inner)
	if err != nil {
		return nil, fmt.Errorf("dialects: %s: %w", asked, err)
	}
	t, err := find(Run{Peer: "k-diffusion", Sampler: head})
	if err != nil {
		return nil, err
	}
	r, err := asRun(t, list, len(sigmas)-1)
	if err != nil {
		return nil, err
	}
	r.Schedule = NewOptions(map[string]json.RawMessage{"name": json.RawMessage(`"list"`), "sigmas": Array{Values: sigmas}.JSON()})
	translated, err := Translate(r)
	if err != nil {
		return nil, err
	}
	return newReading(asked, r, onStableDiffusion(translated), levels)
}

// onStableDiffusion offers the schedule of that model for a recipe, and the one
// spacing of its times that is one of ours.
func onStableDiffusion(t *Translation) *Translation {
	t.Schedule = schedules.OnPath{To: schedules.VEPath{}, Schedule: schedules.Beta{Kind: schedules.ScaledLinear, T: 1000}}
	t.Spacing = schedules.UniformT{Last: schedules.LastZero}
	return t
}

// asRun sorts arguments into the groups of a run.
func asRun(t Translator, args []spec.Arg, steps int) (Run, error) {
	groups := map[string]map[string]json.RawMessage{}
	main := "args"
	if t.Peer == "diffusers" {
		main = "config"
	}
	for _, a := range args {
		group, key := main, a.Key
		if before, after, ok := strings.Cut(a.Key, "."); ok {
			group, key = before, after
		}
		if !slices.Contains([]string{"config", "schedule", "args", "set_timesteps", "step", "given"}, group) {
			return Run{}, fmt.Errorf("dialects: %s: unknown group %q of argument %q: expected config, schedule, args, set_timesteps, step or given", t.Sampler, group, a.Key)
		}
		if groups[group] == nil {
			groups[group] = map[string]json.RawMessage{}
		}
		groups[group][key] = jsonOf(a.Value)
	}
	if t.Peer == "k-diffusion" && groups["schedule"] == nil {
		sd := stableDiffusion()
		groups["schedule"] = map[string]json.RawMessage{
			"name":      json.RawMessage(`"karras"`),
			"sigma_min": jsonOf(strconv.FormatFloat(sd.noise(0), 'g', -1, 64)),
			"sigma_max": jsonOf(strconv.FormatFloat(sd.noise(sd.len()-1), 'g', -1, 64)),
		}
	}
	return Run{
		Peer: t.Peer, Sampler: t.Sampler, Steps: steps,
		Config: NewOptions(groups["config"]), Schedule: NewOptions(groups["schedule"]), Args: NewOptions(groups["args"]),
		SetTimesteps: NewOptions(groups["set_timesteps"]), Step: NewOptions(groups["step"]), Given: NewOptions(groups["given"]),
	}, nil
}

// jsonOf is the JSON of an argument: a number, a truth value or a list if it
// reads as one, else text. True and False are Python's.
func jsonOf(s string) json.RawMessage {
	switch s {
	case "True", "False", "None":
		s = map[string]string{"True": "true", "False": "false", "None": "null"}[s]
	}
	if json.Valid([]byte(s)) {
		return json.RawMessage(s)
	}
	text, err := json.Marshal(strings.Trim(s, `'"`))
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

func readRun(asked string, r Run) (*Reading, error) {
	t, err := Translate(r)
	if err != nil {
		return nil, err
	}
	return newReading(asked, r, t, "")
}

// ReadConfig reads a scheduler_config.json of diffusers. Fields of other classes
// that this one ignores are noted; fields of none are errors. What a config does
// not hold follows as arguments, such as set_timesteps.mu or step.eta.
func ReadConfig(name string, text []byte, steps int, more ...spec.Arg) (*Reading, error) {
	var config map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&config); err != nil {
		return nil, fmt.Errorf("dialects: %s: expected the JSON object of a scheduler_config.json: %w", name, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("dialects: %s: more text after the JSON object", name)
	}
	var class string
	if err := json.Unmarshal(config["_class_name"], &class); err != nil {
		return nil, fmt.Errorf("dialects: %s: no _class_name: expected the config of a scheduler of diffusers", name)
	}
	for k := range config {
		if strings.HasPrefix(k, "_") {
			delete(config, k)
		}
	}
	var ignored []string
	for {
		r, err := asRun(Translator{Peer: "diffusers", Sampler: class}, more, steps)
		if err != nil {
			return nil, err
		}
		for k, v := range config {
			r.Config.Set(k, v)
		}
		t, err := Translate(r)
		var unknown *UnknownFieldError
		if errors.As(err, &unknown) && unknown.Group == "config" && slices.Contains(classFields(), unknown.Field) {
			ignored = append(ignored, unknown.Field)
			delete(config, unknown.Field)
			continue
		}
		if err != nil {
			return nil, err
		}
		reading, err := newReading(name, r, t, "")
		if err == nil && ignored != nil {
			reading.Notes = append(reading.Notes, fmt.Sprintf("%s has no use for %s and ignores it", class, strings.Join(ignored, ", ")))
		}
		return reading, err
	}
}

// classFields lists the config fields of all classes of diffusers.
func classFields() []string {
	var all []string
	for _, t := range Registry() {
		if t.Peer != "diffusers" {
			continue
		}
		r := Run{Peer: t.Peer, Sampler: t.Sampler, Steps: 10}
		r.options()
		_, _ = t.Translate(r) // what it reads counts, not whether it can use it
		for k := range r.Config.used {
			all = append(all, k)
		}
	}
	return all
}

// newReading finds names for the parts of a translation. Where the program's own
// step is a habit, the recipe is that of its method.
func newReading(asked string, run Run, t *Translation, levels string) (*Reading, error) {
	r := &Reading{Asked: asked, Program: run.Peer, Sampler: run.Sampler, Quirks: t.Quirks, translation: t}
	if levels != "" {
		r.Notes = append(r.Notes, "levels called "+levels+", of Stable Diffusion")
	}
	if t.Wrap != nil {
		r.Notes = append(r.Notes, "what the network answers is changed before it is used (clipping, thresholding, or another label): a recipe leaves that out")
	}
	if n := t.Ahead + t.Idle; n > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d evaluation at an end changes nothing: a recipe leaves it out", n))
	}
	if timed(t.Solver) {
		r.Notes = append(r.Notes, "the level that a step goes down to is that of a whole timestep: a recipe takes it at the time itself")
	}
	r.name(run, t)
	if r.NoRecipe != "" && len(t.Quirks) > 0 {
		if better, err := right(run); err == nil {
			own := t.Solver.String()
			if r.name(run, better); r.NoRecipe == "" {
				r.Notes = append(r.Notes, "the recipe is what the method calls for; the program runs "+own)
			}
		}
	}
	r.Same = sameMethod(t.Solver, r.Asked)
	return r, nil
}

// name writes down the parts of a recipe, or why there is none.
func (r *Reading) name(run Run, t *Translation) {
	r.Steps, r.Solver, r.NoRecipe = t.Grid.Steps(), t.Solver.String(), ""
	if run.Peer == "diffusers" {
		t.Schedule, t.Spacing = trainingNames(run, t)
	}
	if g := t.Grid; len(g) > 1 && g[0].Noise() < g[len(g)-1].Noise() {
		r.NoRecipe = "it runs from data to noise, and a recipe from noise to data"
		return
	} else if err := t.Grid.Validate(); err != nil {
		r.NoRecipe = "the grid cannot be walked: " + err.Error()
		return
	}
	r.nameLevels(t)
	if t.Legs != nil {
		r.NoRecipe = "a step goes to another level than the next one starts from"
	}
	if _, err := solvers.Parse(r.Solver); err != nil {
		r.NoRecipe = "the step is a habit of that program alone"
	}
}

// nameLevels finds a schedule and a spacing that make the grid, at worst the list
// of its levels.
func (r *Reading) nameLevels(t *Translation) {
	type pair struct {
		schedule schedules.Schedule
		spacing  schedules.Spacing
	}
	noises := t.Grid.Noises()
	lo, hi := short(lastPositive(noises)), short(firstFinite(noises))
	var onto schedules.Schedule = schedules.EDM{SMin: lo, SMax: hi}
	switch g := t.Grid[len(t.Grid)/2]; {
	case math.Abs(g.Alpha+g.Sigma-1) < 1e-9:
		onto = schedules.RF{Shift: 1}
	case math.Abs(g.Alpha*g.Alpha+g.Sigma*g.Sigma-1) < 1e-9:
		onto = schedules.OnPath{To: schedules.VPPath{}, Schedule: onto}
		if math.IsInf(noises[0], 1) {
			onto = schedules.OnPath{To: schedules.VPPath{}, Schedule: schedules.RF{Shift: 1}}
		}
	}
	var pairs []pair
	if t.Schedule != nil && t.Spacing != nil {
		pairs = append(pairs, pair{t.Schedule, t.Spacing})
	}
	var between []schedules.Spacing
	for _, last := range []schedules.Last{schedules.LastZero, schedules.LastMin} {
		between = append(between, schedules.Karras{Rho: 7, Last: last}, schedules.UniformLambda{Last: last}, schedules.UniformT{Last: last})
	}
	between = append(append(withoutEnds(t.Spacing), between...), &schedules.List{Sigmas: noises})
	for _, s := range []schedules.Schedule{ownTime(t.Schedule), onto} {
		for _, k := range between {
			if s != nil {
				pairs = append(pairs, pair{s, k})
			}
		}
	}
	for _, p := range pairs {
		g, err := p.spacing.Grid(p.schedule, t.Grid.Steps())
		if err == nil && sameGrid(g, t.Grid) {
			r.Schedule, r.Spacing = fmt.Sprint(p.schedule), fmt.Sprint(p.spacing)
			return
		}
	}
	r.Schedule, r.Spacing = fmt.Sprint(onto), fmt.Sprint(&schedules.List{Sigmas: noises})
	r.NoRecipe = "no schedule of ours makes exactly these levels"
}

// ownTime returns a schedule whose time may matter to the method: one that can be
// written down and is not merely a line through the levels.
func ownTime(s schedules.Schedule) schedules.Schedule {
	if s == nil {
		return nil
	}
	inner := s
	if on, ok := s.(schedules.OnPath); ok {
		inner = on.Schedule
	}
	if _, isLine := inner.(schedules.EDM); isLine {
		return nil
	}
	if _, err := schedules.Parse(s.String()); err != nil {
		return nil
	}
	return s
}

// withoutEnds returns a spacing with the ends left to the schedule, if it is one
// that has some.
func withoutEnds(k schedules.Spacing) []schedules.Spacing {
	switch k := k.(type) {
	case schedules.Karras:
		k.SMin, k.SMax = 0, 0
		return []schedules.Spacing{k}
	case schedules.Polyexponential:
		k.SMin, k.SMax = 0, 0
		return []schedules.Spacing{k}
	case schedules.TimeUniform:
		k.SMin, k.SMax = 0, 0
		return []schedules.Spacing{k}
	}
	return nil
}

// short leaves out digits that rounding made: 79.99999999999993 is 80.
func short(v float64) float64 {
	s, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64)
	if err != nil {
		return v
	}
	return s
}

func firstFinite(v []float64) float64 {
	for _, x := range v {
		if !math.IsInf(x, 1) {
			return x
		}
	}
	return math.Inf(1)
}

func lastPositive(v []float64) float64 {
	for _, x := range slices.Backward(v) {
		if x > 0 {
			return x
		}
	}
	return 0
}

// sameGrid reports levels that agree to a billionth.
func sameGrid(a, b schedules.Grid) bool {
	return slices.EqualFunc(a, b, func(x, y schedules.Level) bool {
		return math.Abs(x.Alpha-y.Alpha) <= 1e-9*(x.Alpha+y.Alpha) && math.Abs(x.Sigma-y.Sigma) <= 1e-9*(x.Sigma+y.Sigma)
	})
}

// trainingNames looks for a β table and an index rule, or a spacing between the
// table's ends, that make the grid of a class of diffusers; nil if none does.
func trainingNames(run Run, t *Translation) (schedules.Schedule, schedules.Spacing) {
	defaults := []betaDefaults{ddpmBetas, kdiffBetas}
	if run.Sampler == "LCMScheduler" || run.Sampler == "TCDScheduler" {
		defaults = []betaDefaults{distilledBetas}
	}
	kind, ok := map[string]schedules.BetaKind{
		"linear": schedules.LinearBeta, "scaled_linear": schedules.ScaledLinear, "squaredcos_cap_v2": schedules.SquaredCosine,
		"sigmoid": schedules.SigmoidBeta, "exp": schedules.ExpBeta,
	}[textOf(run.Config, "beta_schedule", defaults[0].kind)]
	noises := t.Grid.Noises()
	lo, hi := short(lastPositive(noises)), short(firstFinite(noises))
	spacings := []schedules.Spacing{
		schedules.Karras{Rho: 7, SMin: lo, SMax: hi, Last: schedules.LastZero},
		schedules.Karras{Rho: 7, SMin: lo, SMax: hi},
		schedules.UniformLambda{SMin: lo, SMax: hi, Last: schedules.LastZero},
		schedules.UniformLambda{SMin: lo, SMax: hi},
	}
	if !ok {
		return t.Schedule, t.Spacing
	}
	size := run.Config.Int("num_train_timesteps", 1000)
	own := schedules.Beta{Kind: kind, T: size, ZeroSNR: run.Config.Bool("rescale_betas_zero_snr", false)}
	if kind == schedules.LinearBeta || kind == schedules.ScaledLinear || kind == schedules.SigmoidBeta {
		for _, d := range defaults {
			own.Start, own.End = run.Config.Float("beta_start", d.start), run.Config.Float("beta_end", d.end)
			if s, k := firstSpacing(own, t, spacings, run); k != nil {
				return s, k
			}
		}
		return t.Schedule, t.Spacing
	}
	if s, k := firstSpacing(own, t, spacings, run); k != nil {
		return s, k
	}
	return t.Schedule, t.Spacing
}

// firstSpacing returns the first spacing that makes the grid on a table.
func firstSpacing(table schedules.Beta, t *Translation, others []schedules.Spacing, run Run) (schedules.Schedule, schedules.Spacing) {
	var s schedules.Schedule = table
	if mid := t.Grid[len(t.Grid)/2]; mid.Alpha == 1 {
		s = schedules.OnPath{To: schedules.VEPath{}, Schedule: table}
	}
	offset := run.Config.Int("steps_offset", 0)
	var list []schedules.Spacing
	for _, last := range []schedules.Last{schedules.LastZero, schedules.LastMin} {
		list = append(list, schedules.Linspace{Last: last}, schedules.Trailing{Last: last}, schedules.Leading{Offset: offset, Last: last}, schedules.UniformT{Last: last})
	}
	if timed(t.Solver) {
		others = append(others, &schedules.List{Sigmas: t.Grid.Noises()})
	}
	for _, k := range append(list, others...) {
		if g, err := k.Grid(s, t.Grid.Steps()); err == nil && sameGrid(g, t.Grid) {
			return s, k
		}
	}
	return nil, nil
}

// timed reports a solver that reads the schedule's time between grid levels.
func timed(s solvers.Solver) bool {
	tcd, ok := s.(solvers.TCD)
	return ok && tcd.Gamma > 0
}

func textOf(o *Options, key, otherwise string) string {
	return read(o, key, otherwise, "a name", nil)
}

// Recipe is the run as a TOML recipe of kind sample, "" where there is none.
func (r *Reading) Recipe() string {
	if r.NoRecipe != "" {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "kind = \"sample\"\nname = %q\nmodel = \"gm2d\"\n", recipeName(r.Asked))
	fmt.Fprintf(&b, "schedule = %q\nspacing = %q\nsolver = %q\nsteps = %d\n", r.Schedule, r.Spacing, r.Solver, r.Steps)
	return b.String()
}

// recipeName makes a folder name of any text.
func recipeName(s string) string {
	s = strings.TrimSuffix(s[strings.LastIndexByte(s, '/')+1:], ".json")
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, strings.ReplaceAll(s, "++", "pp"))
	return strings.Trim(name[:min(len(name), 60)], "-")
}

// Text prints the recipe, and what it cannot say as comments of it.
func (r *Reading) Text(w io.Writer) error {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, "# "+format+"\n", args...) }
	say("%s", r.Asked)
	if r.Sampler != "" && !strings.HasPrefix(r.Asked, r.Sampler) {
		say("runs:        %s of %s", r.Sampler, r.Program)
	}
	if r.NoRecipe != "" {
		say("solver:      %s", r.Solver)
		say("schedule:    %s", r.Schedule)
		say("spacing:     %s", r.Spacing)
		say("steps:       %d", r.Steps)
		say("no recipe:   %s", r.NoRecipe)
	}
	for _, q := range Quirks() {
		if slices.Contains(r.Quirks, q.Name) {
			say("quirk:       %s. %s", q.Name, q.What)
			say("             Here: %s", q.Ours)
		}
	}
	for _, n := range r.Notes {
		say("note:        %s", n)
	}
	if r.Same != nil {
		say("same method: %s", strings.Join(r.Same, ", "))
	}
	b.WriteString(r.Recipe())
	_, err := io.WriteString(w, b.String())
	return err
}

// UnknownFieldError is an option that the sampler does not have.
type UnknownFieldError struct {
	Group, Field string
	near         string
}

func (e *UnknownFieldError) Error() string {
	return fmt.Sprintf("unknown field %q in %s%s", e.Field, e.Group, e.near)
}

// exactProblem is the network that methods are told apart on.
func exactProblem() models.Denoiser { return models.GM2D() }
