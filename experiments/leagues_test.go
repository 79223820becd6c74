package experiments

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/rng"
	"snrlab/solvers"
	"snrlab/tune"
)

// The files that are shipped load, and a few of them reach what they say on
// starts of a key that nothing was fitted to. Over sets of 2048 starts the errors
// vary by some 10 %, those of fits whose few worst starts weigh most by more.
func TestLeagues_Fitted(t *testing.T) {
	l, err := ReadLeagues("fitted")
	if err != nil {
		t.Fatal(err)
	}
	task, err := tune.NewTask(context.Background(), mustModel(t, "gm2d").Exact.(tune.Model), 80, 0.002, 2048, rng.New(12345), 1e-8)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, e := range l.Entries {
		path := filepath.Join("fitted", e.File)
		if !strings.Contains(e.Command, "--file experiments/fitted/"+e.File) {
			t.Errorf("%s: its command makes another file: %s", e.File, e.Command)
		}
		if e.Model != "gm2d" || e.NFE > 8 || strings.HasPrefix(e.File, "grid-") {
			continue
		}
		s, err := solvers.Parse("fitted(file=" + path + ")")
		if err != nil {
			t.Fatal(err)
		}
		f, err := solvers.ReadFitted(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := task.Run(context.Background(), s, f.Levels())
		if err != nil {
			t.Fatal(err)
		}
		checked++
		if math.Abs(math.Log(got.Median/e.Unseen.Median)) > 0.15 || math.Abs(math.Log(got.RMSE/e.Unseen.RMSE)) > 0.7 {
			t.Errorf("%s: RMSE %.3g, median %.3g; the file says %.3g, %.3g", e.File, got.RMSE, got.Median, e.Unseen.RMSE, e.Unseen.Median)
		}
	}
	if checked == 0 {
		t.Error("no file of gm2d")
	}
}

func mustModel(t *testing.T, name string) *Model {
	t.Helper()
	m, err := OpenModel(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLeagues_Publish(t *testing.T) {
	dir := t.TempDir()
	for _, nfe := range []int{3, 4} {
		f := smallFit()
		f.Family, f.NFE = "s4s", nfe
		if _, err := f.Run(context.Background(), filepath.Join(dir, "s4s-"+string(rune('0'+nfe))+".json"), Options{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	l, err := ReadLeagues(dir)
	if err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte("before\n"+leaguesPlace.begin()+"\nREPLACED\n"+leaguesPlace.end()+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.Publish(page); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if !strings.HasPrefix(got, "before\n") || !strings.HasSuffix(got, "after\n") || strings.Contains(got, "REPLACED") || strings.Count(got, "| gm2d | s4s |") != 2 {
		t.Errorf("the page reads\n%s", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "figures", figureOf(tune.StepLevel)+".png")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(page, []byte("no marks"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.Publish(page); err == nil || !strings.Contains(err.Error(), "no place for the leagues") {
		t.Errorf("a page without marks: %v", err)
	}
	if _, err := ReadLeagues(t.TempDir()); err == nil {
		t.Error("leagues of an empty folder")
	}
}
