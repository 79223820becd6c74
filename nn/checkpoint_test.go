package nn_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"snrlab/nn"
	"snrlab/nn/safetensors"
	"snrlab/rng"
)

// a small network with a filter, whose order in memory is not that of files.
type small[T nn.Float] struct {
	conv   nn.Conv[T]
	norm   nn.GroupNorm[T]
	linear nn.Linear[T]
	params nn.Params[T]
}

func newSmall[T nn.Float](t testing.TB, key rng.Key) small[T] {
	t.Helper()
	s := nn.NewScope[T](key)
	n := small[T]{
		conv:   nn.NewConv(s.Sub("conv"), 2, 4, 3, 1, nn.Pad(1)),
		norm:   nn.NewGroupNorm(s.Sub("norm"), 4, 2, 1e-5),
		linear: nn.NewLinear(s.Sub("linear"), 4*5*5, 3, true),
	}
	n.params = s.Params()
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n small[T]) apply(t *nn.Tape[T], x *nn.Var[T]) *nn.Var[T] {
	x = n.norm.ApplySiLU(t, n.conv.Apply(t, x))
	return n.linear.Apply(t, t.Reshape(x, x.Shape()[0], 4*5*5))
}

func values[T nn.Float](ps nn.Params[T]) string {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintln(&b, p.Name(), p.Value())
	}
	return b.String()
}

func TestSave_Invariant_Load(t *testing.T) {
	t.Run("float32", saveLoad[float32])
	t.Run("float64", saveLoad[float64])
}

func saveLoad[T nn.Float](t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.safetensors")
	a, b := newSmall[T](t, rng.New(1)), newSmall[T](t, rng.New(2))
	if values(a.params) == values(b.params) {
		t.Fatal("two keys give the same network")
	}
	if err := nn.Save(path, a.params, nn.SaveOptions{Metadata: map[string]string{"of": "a test"}}); err != nil {
		t.Fatal(err)
	}
	if err := nn.Load(path, b.params, nn.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	if values(a.params) != values(b.params) {
		t.Error("loaded values differ from those saved")
	}
	// What another program sees.
	f, err := safetensors.Open(path, safetensors.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if m := f.Metadata(); m["format"] != "pt" || m["of"] != "a test" {
		t.Errorf("metadata %v", m)
	}
	for _, p := range a.params {
		d, err := f.Dense(p.Name())
		if err != nil {
			t.Fatal(err)
		}
		if want := p.Dense(); fmt.Sprint(d.Shape(), d.Data()) != fmt.Sprint(want.Shape(), want.Data()) {
			t.Errorf("%s is stored in another order than torch's", p.Name())
		}
	}
}

func TestSave_DType(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.safetensors")
	a, b := newSmall[float32](t, rng.New(1)), newSmall[float32](t, rng.New(2))
	for d, within := range map[safetensors.DType]float64{safetensors.F16: 0x1p-11, safetensors.BF16: 0x1p-8, safetensors.F64: 0} {
		if err := nn.Save(path, a.params, nn.SaveOptions{DType: d}); err != nil {
			t.Fatal(err)
		}
		if err := nn.Load(path, b.params, nn.LoadOptions{}); err != nil {
			t.Fatal(err)
		}
		changed := false
		for i, p := range a.params {
			for j, v := range p.Value() {
				got := b.params[i].Value()[j]
				changed = changed || got != v
				// Half of the last bit, or of the least denormal number of F16.
				if math.Abs(float64(got-v)) > within*math.Abs(float64(v))+within*0x1p-14 {
					t.Fatalf("%v: %s[%d] is %v, want %v", d, p.Name(), j, got, v)
				}
			}
		}
		if changed != (within > 0) {
			t.Errorf("%v: rounded is %t", d, changed)
		}
	}
}

func TestLoad_Refuses(t *testing.T) {
	folder := t.TempDir()
	save := func(name string, build func(s nn.Scope[float32])) string {
		s := nn.NewScope[float32](rng.New(3))
		build(s)
		path := filepath.Join(folder, name)
		if err := nn.Save(path, s.Params(), nn.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		return path
	}
	missing := save("missing", func(s nn.Scope[float32]) { s.Param("a", nn.Ones, 2, 3) })
	extra := save("extra", func(s nn.Scope[float32]) {
		s.Param("a", nn.Ones, 2, 3)
		s.Param("b", nn.Ones, 4)
		s.Param("c", nn.Ones, 5)
	})
	shape := save("shape", func(s nn.Scope[float32]) {
		s.Param("a", nn.Ones, 3, 2)
		s.Param("b", nn.Ones, 4)
	})
	old := save("old", func(s nn.Scope[float32]) {
		s.Param("query", nn.Ones, 2, 3, 1, 1)
		s.Param("b", nn.Ones, 4)
	})
	ps := paramsOf[float32](t)
	before := values(ps)
	for path, want := range map[string]string{
		missing: `"b" of shape [4] is missing`,
		extra:   `"c" of shape [5] was not expected`,
		shape:   `"a" has shape [3 2], expected [2 3]`,
		old:     `"a" of shape [2 3] is missing; "query" of shape [2 3 1 1] was not expected`,
	} {
		err := nn.Load(path, ps, nn.LoadOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want …%s…", err, want)
		}
		if values(ps) != before {
			t.Errorf("%s changed the parameters", path)
		}
	}
	if err := nn.Load(extra, ps, nn.LoadOptions{Extra: true}); err != nil || ps[0].Value()[0] != 1 {
		t.Errorf("with an extra tensor allowed: %v", err)
	}
	stored := func(shape ...int) nn.LoadOptions {
		return nn.LoadOptions{Stored: func(_ *safetensors.Reader, p safetensors.Param) safetensors.Param {
			if p.Name == "a" {
				p.Name, p.Shape = "query", shape
			}
			return p
		}}
	}
	ps[0].Value()[0] = 5
	if err := nn.Load(old, ps, stored(2, 3, 1, 1)); err != nil || ps[0].Value()[0] != 1 {
		t.Errorf("under an old name: %v", err)
	}
	if err := nn.Load(old, ps, stored(2, 4)); err == nil || !strings.Contains(err.Error(), "cannot be stored as") {
		t.Errorf("as another number of elements: %v", err)
	}
	ps[0].Value()[3] = float32(math.NaN())
	if err := nn.Save(old, ps, nn.SaveOptions{}); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("NaN: %v", err)
	}
	if err := nn.Load(old, ps, stored(2, 3, 1, 1)); err != nil {
		t.Errorf("after a Save that failed: %v", err)
	}
}

// Tensors are written and read one by one.
func TestSave_Alloc(t *testing.T) {
	s := nn.NewScope[float32](rng.New(1))
	for i := range 10 {
		s.Param(fmt.Sprint(i), nn.Zeros, 128, 128, 3, 3)
	}
	path := filepath.Join(t.TempDir(), "net.safetensors")
	allocated := func(f func() error) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := f(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	ps := s.Params()
	all := uint64(4 * ps.Len())
	// Room for one tensor, and buffers of at most 64 KB for each.
	limit := all/10 + 10*(1<<16) + 1<<17
	if n := allocated(func() error { return nn.Save(path, ps, nn.SaveOptions{}) }); n > limit {
		t.Errorf("Save allocates %d bytes for %d", n, all)
	}
	if n := allocated(func() error { return nn.Load(path, ps, nn.LoadOptions{}) }); n > limit {
		t.Errorf("Load allocates %d bytes for %d", n, all)
	}
}

// trainingOf is a training of a network, not begun.
func trainingOf[T nn.Float](t testing.TB, rule string, key rng.Key) (*nn.Training[T], small[T]) {
	n := newSmall[T](t, key)
	o := newOptimiser(t, n.params, rule, "warmup(steps=3,then=cosine(peak=0.05,to=20))")
	o.MaxNorm = 0.5
	return &nn.Training[T]{
		Params: n.params, Optimiser: o, Key: key,
		EMAs: []*nn.EMA[T]{newEMA(t, n.params, "power(std=0.1)"), newEMA(t, n.params, "warmup")},
	}, n
}

// train does steps, whose data are a function of the key and the step.
func train[T nn.Float](t testing.TB, tr *nn.Training[T], n small[T], steps int) {
	t.Helper()
	var tape nn.Tape[T]
	for range steps {
		k := tr.Optimiser.Steps()
		n.norm.Bias.Frozen = k < 2 // so that parameters differ in their steps
		r := tr.Key.Split("batch", uint64(k)).Stream()
		draw := func(n int) []T {
			x := make([]T, n)
			for i := range x {
				x[i] = T(r.NormFloat64())
			}
			return x
		}
		tape.Reset()
		y := n.apply(&tape, tape.Constant(draw(4*5*5*2), 4, 5, 5, 2))
		if err := tape.Backward(tape.MeanSquare(y, tape.Constant(draw(4*3), 4, 3)), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Optimiser.Step(); err != nil {
			t.Fatal(err)
		}
		for _, e := range tr.EMAs {
			if err := e.Update(4); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// everything is what a training holds, printed so that other bits differ.
func everything[T nn.Float](t testing.TB, tr *nn.Training[T]) string {
	t.Helper()
	all := values(tr.Params)
	for _, e := range tr.EMAs {
		all += fmt.Sprint(e.Updates(), e.Images(), mean(t, e, tr.Params), "\n")
	}
	return all + fmt.Sprint(tr.Optimiser.Steps(), tr.Key)
}

func TestTraining_Resume(t *testing.T) {
	t.Run("float32", resume[float32])
	t.Run("float64", resume[float64])
}

func resume[T nn.Float](t *testing.T) {
	for _, rule := range []string{"adam", "adamw", "sgd", "sgd(momentum=0.9,dampening=0.5)"} {
		straight, n := trainingOf[T](t, rule, rng.New(1))
		train(t, straight, n, 7)
		want := everything(t, straight)
		for _, at := range []int{0, 1, 3, 6} {
			folder := filepath.Join(t.TempDir(), "run")
			first, n := trainingOf[T](t, rule, rng.New(1))
			train(t, first, n, at)
			if err := first.Save(folder); err != nil {
				t.Fatal(err)
			}
			second, n := trainingOf[T](t, rule, rng.New(9)) // other first values and key
			if err := second.Load(folder); err != nil {
				t.Fatal(err)
			}
			train(t, second, n, 7-at)
			if got := everything(t, second); got != want {
				t.Errorf("%s, resumed at %d:\n%s\nwant\n%s", rule, at, got, want)
			}
		}
	}
}

func TestTraining_Refuses(t *testing.T) {
	folder := t.TempDir()
	saved, n := trainingOf[float32](t, "adam", rng.New(1))
	saved.Settings = "digits"
	train(t, saved, n, 2)
	if err := saved.Save(folder); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(tr *nn.Training[float32])
		want   string
		amend  bool
	}{
		"rule":     {func(tr *nn.Training[float32]) { tr.Optimiser = newOptimiser(t, tr.Params, "adamw", "constant") }, `rule "adam", and this training has "adamw"`, false},
		"averages": {func(tr *nn.Training[float32]) { tr.EMAs = tr.EMAs[:1] }, "averages", false},
		"rate": {func(tr *nn.Training[float32]) {
			tr.Optimiser = newOptimiser(t, tr.Params, "adam", "constant")
			tr.Optimiser.MaxNorm = 0.5
		}, "rate", true},
		"limits":   {func(tr *nn.Training[float32]) { tr.Optimiser.MaxNorm = 1 }, "max_norm=0.5", true},
		"settings": {func(tr *nn.Training[float32]) { tr.Settings = "faces" }, `settings "digits", and this training has "faces"`, true},
		"swapped":  {func(tr *nn.Training[float32]) { tr.EMAs[1].Swap() }, "Swap before", false},
		"others":   {func(tr *nn.Training[float32]) { tr.Params = newSmall[float32](t, rng.New(4)).params }, "other parameters", false},
		"none":     {func(tr *nn.Training[float32]) { tr.Optimiser = nil }, "needs an optimiser", false},
	} {
		tr, _ := trainingOf[float32](t, "adam", rng.New(5))
		tr.Settings = "digits"
		c.change(tr)
		before := values(tr.Params)
		if err := tr.Load(folder); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "nn: ") {
			t.Errorf("%s: %v, want …%s…", name, err, c.want)
		}
		if values(tr.Params) != before {
			t.Errorf("%s: a state that was refused changed the parameters", name)
		}
		tr.Amend = true
		if err := tr.Load(folder); (err == nil) != c.amend {
			t.Errorf("%s, amended: %v", name, err)
		}
	}
	// Another network's.
	s := nn.NewScope[float32](rng.New(1))
	for _, p := range saved.Params {
		shape := append([]int(nil), p.Shape()...)
		shape[0]++
		s.Param(p.Name(), nn.Ones, shape...)
	}
	other := &nn.Training[float32]{Params: s.Params(), Optimiser: newOptimiser(t, s.Params(), "adam", "constant"), Settings: "digits", Amend: true}
	other.EMAs = []*nn.EMA[float32]{newEMA(t, s.Params(), "power(std=0.1)"), newEMA(t, s.Params(), "warmup")}
	if err := other.Load(folder); err == nil || !strings.Contains(err.Error(), "has shape [4 2 3 3], expected [5 2 3 3]") {
		t.Errorf("another network: %v", err)
	}
	wide, _ := trainingOf[float64](t, "adam", rng.New(5))
	wide.Settings = "digits"
	if err := wide.Load(folder); err != nil { // float32 in float64 is exact
		t.Errorf("float32 in float64: %v", err)
	}
	if err := saved.Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), nn.StateFile) {
		t.Errorf("an empty folder: %v", err)
	}
}

// A state file that anyone may have written gives a training or an error, and an
// error before anything has changed, unless elements are not finite.
func TestTraining_Refuses_Hostile(t *testing.T) {
	folder := t.TempDir()
	saved, n := trainingOf[float32](t, "adam", rng.New(1))
	train(t, saved, n, 2)
	if err := saved.Save(folder); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, nn.StateFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(name string, file []byte, want string) {
		t.Helper()
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
		tr, _ := trainingOf[float32](t, "adam", rng.New(5))
		before := values(tr.Params)
		if err := tr.Load(folder); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", name, err, want)
		}
		if values(tr.Params) != before {
			t.Errorf("%s changed the parameters", name)
		}
	}
	for _, size := range []int{0, 7, 100, len(whole) / 2, len(whole) - 1} {
		try(fmt.Sprint("cut at ", size), whole[:size], "safetensors")
	}
	weights, err := filepath.Glob(filepath.Join(folder, "weights-*"))
	if err != nil || len(weights) != 1 {
		t.Fatal(weights, err)
	}
	_, sum, _ := strings.Cut(weights[0], "weights-")
	// Replacements of as many bytes keep the header's length.
	for _, c := range []struct{ old, new, want string }{
		{"snrlab training 1", "snrlab training 2", "schema"},
		{`"steps":"2"`, `"steps":"x"`, "integer"},
		{`"steps":"2"`, `"steps":"1"`, "2 steps of 1"},
		{`"rule":"adam"`, `"rule":"sgd "`, "rule"},
		{`"param_steps":"[2,`, `"param_steps":"[-,`, "param_steps"},
		{`"param_steps":"[2,2`, `"param_steps":"[222`, "222 steps of 2"},
		{`"param_steps":"[2,2`, `"param_steps":"[2 ,`, "param_steps"},
		{`"weights":"` + sum[:3], `"weights":"../`, "SHA-256"},
		{`"weights":"` + sum[:3], `"weights":"000`, "no such file"},
		{`"updates\":2`, `"updates\":-`, "emas"},
		{`"settings"`, `"sittings"`, "no settings"},
		{`"exp_avg.conv.bias"`, `"exp_avg.conv.bios"`, `"exp_avg.conv.bias" of shape [4] is missing`},
	} {
		if !bytes.Contains(whole, []byte(c.old)) {
			t.Fatalf("the file has no %s", c.old)
		}
		try(c.old, bytes.Replace(whole, []byte(c.old), []byte(c.new), 1), c.want)
	}
	// Weights that are not those of the state.
	if err := os.WriteFile(path, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(weights[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-3] ^= 1
	if err := os.WriteFile(weights[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	try("changed weights", whole, "was changed")
	if err := os.Remove(weights[0]); err != nil {
		t.Fatal(err)
	}
	try("no weights", whole, "no such file")
}

// A Save that is cut short between its files leaves the training before.
func TestTraining_Invariant_Killed(t *testing.T) {
	folder := t.TempDir()
	tr, n := trainingOf[float32](t, "adam", rng.New(1))
	train(t, tr, n, 2)
	if err := tr.Save(folder); err != nil {
		t.Fatal(err)
	}
	want := everything(t, tr)
	train(t, tr, n, 1)
	// A folder in the place of the state file stops the second file, as a full
	// disk would, when the first is there.
	state := filepath.Join(folder, nn.StateFile)
	if err := os.Rename(state, state+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := tr.Save(folder); err == nil {
		t.Fatal("a state file is written over a folder")
	}
	if w, _ := filepath.Glob(filepath.Join(folder, "weights-*")); len(w) != 2 {
		t.Fatalf("weights %v: expected the old and the new", w)
	}
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(state+".kept", state); err != nil {
		t.Fatal(err)
	}
	again, n := trainingOf[float32](t, "adam", rng.New(5))
	if err := again.Load(folder); err != nil {
		t.Fatal(err)
	}
	if got := everything(t, again); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	// The next Save that succeeds leaves its own two files alone.
	train(t, again, n, 1)
	if err := again.Save(folder); err != nil {
		t.Fatal(err)
	}
	if w, _ := filepath.Glob(filepath.Join(folder, "*")); len(w) != 2 {
		t.Errorf("files %v", w)
	}
	if err := again.Save(folder); err != nil { // the same content, the same names
		t.Fatal(err)
	}
	if err := tr.Load(folder); err != nil {
		t.Error(err)
	}
}
