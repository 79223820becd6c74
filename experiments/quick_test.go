package experiments

import (
	"context"
	"os"
	"testing"
)

func TestQuick(t *testing.T) {
	name := os.Getenv("QUICK")
	if name == "" {
		t.Skip()
	}
	r, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Plan(Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.Text(os.Stdout)
	out := os.Getenv("OUT")
	if out == "" {
		out = t.TempDir()
	}
	info, err := Run(context.Background(), r, Options{Out: out})
	if err != nil {
		t.Fatal(err)
	}
	info.Text(os.Stdout)
}
