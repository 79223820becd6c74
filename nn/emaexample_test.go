package nn_test

import (
	"fmt"
	"os"
	"path/filepath"

	"snrlab/nn"
	"snrlab/rng"
)

// Two averages are stored ten times in a training, and a third, of another width,
// is made from them when it is over.
func ExampleReconstruct() {
	folder, err := os.MkdirTemp("", "averages")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)

	scope := nn.NewScope[float64](rng.New(1))
	p := scope.Param("p", nn.Zeros, 1)
	var emas []*nn.EMA[float64]
	for _, std := range []float64{0.05, 0.1, 0.15} { // the third to compare with
		e, err := nn.NewEMA(scope.Params(), nn.PowerAverage{Std: std})
		if err != nil {
			panic(err)
		}
		emas = append(emas, e)
	}
	var paths []string
	for step := 1; step <= 1000; step++ {
		p.Value()[0] = 1 - 1/float64(step) // a training that ends at 1
		for i, e := range emas {
			if err := e.Update(32); err != nil {
				panic(err)
			}
			if i < 2 && step%100 == 0 {
				path := filepath.Join(folder, fmt.Sprintf("%d-%v.safetensors", step, e.Average()))
				if err := e.Save(path, nn.SaveOptions{}); err != nil {
					panic(err)
				}
				paths = append(paths, path)
			}
		}
	}
	if _, err := nn.Reconstruct(scope.Params(), nn.Profile{Std: 0.15, Images: 32_000}, paths...); err != nil {
		panic(err)
	}
	made := p.Value()[0]
	emas[2].Swap()
	fmt.Printf("made %.5f, tracked %.5f\n", made, p.Value()[0])
	// Output: made 0.99872, tracked 0.99872
}

// An average that is used for a while and given back.
func ExampleEMA() {
	scope := nn.NewScope[float32](rng.New(1))
	p := scope.Param("p", nn.Zeros, 1)
	ema, err := nn.NewEMA(scope.Params(), nn.ConstantAverage{Beta: 0.5})
	if err != nil {
		panic(err)
	}
	for _, v := range []float32{1, 2, 4} {
		p.Value()[0] = v
		if err := ema.Update(1); err != nil {
			panic(err)
		}
	}
	ema.Swap() // samples would be drawn here
	fmt.Println(p.Value())
	ema.Swap()
	fmt.Println(p.Value())
	// Output:
	// [2.625]
	// [4]
}

// A training that is stopped after four steps goes on in a new program.
func ExampleTraining() {
	folder, err := os.MkdirTemp("", "training")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)

	begin := func() (*nn.Training[float64], *nn.Param[float64]) {
		key := rng.New(1)
		scope := nn.NewScope[float64](key.Split("network", 0))
		p := scope.Param("p", nn.Ones, 1)
		optimiser, err := nn.NewOptimiser(scope.Params(), nn.SGD{Momentum: 0.5}, nn.ConstantRate{Peak: 0.5})
		if err != nil {
			panic(err)
		}
		return &nn.Training[float64]{Params: scope.Params(), Optimiser: optimiser, Key: key}, p
	}
	steps := func(t *nn.Training[float64], p *nn.Param[float64], n int) {
		for range n {
			p.Grad()[0] = p.Value()[0] // of ½p²
			if _, err := t.Optimiser.Step(); err != nil {
				panic(err)
			}
		}
	}
	first, p := begin()
	steps(first, p, 4)
	if err := first.Save(folder); err != nil {
		panic(err)
	}
	second, q := begin()
	if err := second.Load(folder); err != nil {
		panic(err)
	}
	steps(first, p, 3)
	steps(second, q, 3)
	fmt.Println(second.Optimiser.Steps(), p.Value(), q.Value())
	// Output: 7 [0.0625] [0.0625]
}
