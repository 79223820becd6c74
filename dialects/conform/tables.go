package conform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"snrlab/dialects"
	"snrlab/models"
)

// tabled is one entry of a file of tables: whose it is, what it was made from,
// and the numbers.
type tabled struct {
	id, peer, name string
	single         bool // made with 32-bit numbers
	want           map[string]dialects.Array
	got            func() (map[string][]float64, error)
}

// tolerance is what number i of a table may be off by, which is v. In double
// precision it is a billionth. In single precision roundings of ᾱ and of 1 − ᾱ are
// what there is, see single; their number and condition depend on the table.
func (t tabled) tolerance(name string, i int, v float64) float64 {
	a := math.Abs(v)
	if !t.single {
		return max(1e-9*a, 1e-12)
	}
	switch {
	case name == "betas": // 1 − ᾱ_i/ᾱ_{i−1}, of rescaled ᾱ that end at 0
		return 64 * unit
	case name == "alphas_cumprod": // i products of factors that are rounded
		return float64(i+16) * unit * a
	case name == "log_snr": // log ᾱ − log(1 − ᾱ), with 1/(1 − ᾱ) = 1 + e^v
		return unit * (float64(i+16) + 8*math.Exp(v))
	case name == "snr" || strings.HasPrefix(name, "weight_"): // ᾱ/(1 − ᾱ), and what has its relative error
		snr := math.Inf(-1) // of no entry
		if all := t.want["snr"].Values; i < len(all) {
			snr = all[i]
		}
		return unit * a * (256 + snr)
	case name == "lambda":
		return singleLambda(t.want["lambda"].Values)
	case name == "alpha" || name == "sigma": // dα/dλ = α σ², dσ/dλ = −σ α², α² + σ² = 1
		return singleLambda(t.want["lambda"].Values)*a*(1-a*a) + 4*unit*a
	case t.name == "get_schedule": // σ → t → σ, which rounds in t: some tens of roundings of 1 − ᾱ too
		return 48*unit*a + min(48*unit/a, 1e-5)
	case strings.HasPrefix(t.name, "get_time_steps"), strings.HasPrefix(t.name, "get_orders"): // found from λ in a table, which divides its error by the table's slope
		return max(3e-4*a, 1e-5)
	}
	return single(v, 0)
}

// run compares one entry.
func (t tabled) run() Result {
	r := Result{ID: t.id, Peer: t.peer, Sampler: t.name}
	got, err := t.got()
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	var w worst
	for name, want := range t.want {
		have, ok := got[name]
		switch {
		case !ok:
			w.fail(fmt.Sprintf("no table %q", name))
		case len(have) != len(want.Values):
			w.fail(fmt.Sprintf("table %s has %d numbers, the record %d", name, len(have), len(want.Values)))
		default:
			for i, v := range want.Values {
				w.see(have[i], v, t.tolerance(name, i, v), func() string { return fmt.Sprintf("%s[%d]", name, i) })
			}
		}
	}
	r.Share, r.Error, r.Where = w.Share, w.Error, w.Where
	if r.OK = w.Share <= 1; math.IsInf(w.Share, 1) {
		r.Problem, r.Share, r.Error = w.Where, 0, 0
	}
	return r
}

// fields is an entry as it stands in the file.
type fields map[string]json.RawMessage

// text returns a string field, "" if there is none.
func (f fields) text(key string) string {
	var s string
	_ = json.Unmarshal(f[key], &s) // what is no string has no name
	return s
}

// take removes fields and returns them as tables.
func (f fields) take(keys ...string) (map[string]dialects.Array, error) {
	out := map[string]dialects.Array{}
	for _, k := range keys {
		raw, ok := f[k]
		if !ok {
			continue
		}
		var a dialects.Array
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, fmt.Errorf("field %q: %w", k, err)
		}
		out[k] = a
		delete(f, k)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("an entry has none of the tables %v", keys)
	}
	return out, nil
}

// drop removes fields that make no number.
func (f fields) drop(keys ...string) fields {
	for _, k := range keys {
		delete(f, k)
	}
	return f
}

// options returns a field that is an object.
func (f fields) options(key string) (map[string]json.RawMessage, error) {
	if f[key] == nil {
		return nil, nil
	}
	var o map[string]json.RawMessage
	if err := json.Unmarshal(f[key], &o); err != nil {
		return nil, fmt.Errorf("field %q: %w", key, err)
	}
	return o, nil
}

// function is the entry of a table that a function of a program makes from args.
func function(id, peer, name string, args map[string]json.RawMessage, want map[string]dialects.Array, single bool) tabled {
	return tabled{id: id, peer: peer, name: name, single: single, want: want, got: func() (map[string][]float64, error) {
		return dialects.Function(peer, name, dialects.NewOptions(args))
	}}
}

// runTables checks the files whose entries are under "schedules".
func runTables(ctx context.Context, text []byte, _ map[string]models.Denoiser, emit func(Result)) error {
	var file struct {
		Format    json.RawMessage
		Sources   json.RawMessage
		Schedules []fields
		AYS       map[string]dialects.Array `json:"ays_schedules"`
	}
	if err := decode(text, &file); err != nil {
		return err
	}
	for i, f := range file.Schedules {
		t, err := schedule(f)
		if err != nil {
			return fmt.Errorf("schedules[%d]: %w", i, err)
		}
		emit(t.run())
	}
	if file.AYS != nil {
		emit(tabled{id: "tables/ays_schedules", peer: "diffusers", name: "AysSchedules", want: file.AYS, got: func() (map[string][]float64, error) {
			return dialects.AlignYourSteps(), nil
		}}.run())
	}
	return ctx.Err()
}

// schedule reads an entry of β, of σ or of timesteps.
func schedule(f fields) (tabled, error) {
	single := f.text("precision") == "as_shipped"
	class, fn := f.text("scheduler"), f.text("function")
	config, err := f.options("config")
	if err != nil {
		return tabled{}, err
	}
	switch {
	case fn != "":
		want, err := f.take("values", "orders", "alpha", "sigma", "lambda", "total_N")
		if err != nil {
			return tabled{}, err
		}
		args, err := f.options("args")
		return function("tables/"+fn+"/"+string(f["args"])+"/"+f.text("precision"), f.text("peer"), fn, args, want, single), err
	case class != "" && f["betas"] != nil:
		want, err := f.take("betas", "alphas_cumprod", "log_snr")
		if err != nil {
			return tabled{}, err
		}
		id := "tables/betas/" + class + "/" + string(f["config"]) + "/" + f.text("precision")
		config["scheduler"] = f["scheduler"]
		t := function(id, "diffusers", "betas", config, want, single)
		return t, nil
	case class != "":
		want, err := f.take("timesteps", "sigmas", "sigmas_interpol", "order_list")
		if err != nil {
			return tabled{}, err
		}
		set, err := f.options("set_timesteps")
		if err != nil {
			return tabled{}, err
		}
		delete(set, "num_inference_steps")
		var n int
		if err := json.Unmarshal(f["num_inference_steps"], &n); err != nil {
			return tabled{}, fmt.Errorf("field \"num_inference_steps\": %w", err)
		}
		id := fmt.Sprintf("tables/timesteps/%s/%s-n%d/%s", class, f["config"], n, f.text("precision"))
		return tabled{id: id, peer: "diffusers", name: class, single: single, want: want, got: func() (map[string][]float64, error) {
			t, err := dialects.Translate(dialects.Run{
				Peer: "diffusers", Sampler: class, Steps: n,
				Config: dialects.NewOptions(config), SetTimesteps: dialects.NewOptions(set),
			})
			if err != nil {
				return nil, err
			}
			return t.Tables, nil
		}}, nil
	}
	return tabled{}, errors.New("neither a function nor a scheduler")
}

// runWeights checks preconditioning, loss weights and min-SNR weights.
func runWeights(ctx context.Context, text []byte, _ map[string]models.Denoiser, emit func(Result)) error {
	var file struct {
		Format      json.RawMessage
		Sources     json.RawMessage
		KarrasStyle []fields `json:"karras_style"`
		MinSNR      []fields `json:"min_snr"`
	}
	if err := decode(text, &file); err != nil {
		return err
	}
	for i, f := range file.KarrasStyle {
		class := f.text("class")
		want, err := f.take("c_skip", "c_out", "c_in", "weight", "sigma_to_t", "t_to_sigma_of_that", "t_to_sigma", "get_sigmas_10")
		if err != nil {
			return fmt.Errorf("karras_style[%d]: %w", i, err)
		}
		id := fmt.Sprintf("tables/%s/%s%s%s", class, f.text("weighting"), f["sigma_data"], f["quantize"])
		emit(function(id, "k-diffusion", class, f.drop("class"), want, false).run())
	}
	for i, f := range file.MinSNR {
		single := f.text("precision") == "as_shipped"
		want, err := f.take("snr", "weight_epsilon", "weight_v", "weight_sample")
		if err != nil {
			return fmt.Errorf("min_snr[%d]: %w", i, err)
		}
		id := fmt.Sprintf("tables/min_snr/%s/gamma%s/%s", f.text("beta_schedule"), f["gamma"], f.text("precision"))
		emit(function(id, "diffusers", "compute_snr", f.drop("precision"), want, single).run())
	}
	return ctx.Err()
}

// runThresholds checks dynamic thresholding.
func runThresholds(ctx context.Context, text []byte, _ map[string]models.Denoiser, emit func(Result)) error {
	var file struct {
		Format   json.RawMessage
		Sources  json.RawMessage
		Examples []fields
	}
	if err := decode(text, &file); err != nil {
		return err
	}
	for i, f := range file.Examples {
		peer, name := f.text("peer"), f.text("function")
		want, err := f.take("y")
		if err != nil {
			return fmt.Errorf("examples[%d]: %w", i, err)
		}
		id := fmt.Sprintf("tables/%s/%s/%s", peer, name, f["dynamic_thresholding_ratio"])
		emit(function(id, peer, name, f.drop("peer", "function"), want, false).run())
	}
	return ctx.Err()
}
