package experiments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snrlab/internal/runfile"
)

// TestMain lets the test binary stand in for the command: with a recipe in
// its environment it runs that and nothing else, and can be killed.
func TestMain(m *testing.M) {
	if text := os.Getenv("SNRLAB_TEST_RECIPE"); text != "" {
		limitFiles(os.Getenv("SNRLAB_TEST_LIMIT"))
		if err := runChild(text, os.Getenv("SNRLAB_TEST_OUT")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runChild(text, out string) error {
	r, err := Parse("test", []byte(text))
	if err != nil {
		return err
	}
	_, err = Run(context.Background(), r, Options{Out: out, Undrawn: os.Getenv("SNRLAB_TEST_UNDRAWN") != ""})
	return err
}

// child is the command that runs a recipe in another process.
func child(text, out string, env ...string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), append(env, "SNRLAB_TEST_RECIPE="+text, "SNRLAB_TEST_OUT="+out)...)
	return c
}

// small is a comparison that has every kind of cell and takes about a second.
const small = `
kind = "compare"
name = "small"
model = "%s"
schedule = "edm(smin=0.01,smax=80)"
spacing = "karras"
solvers = ["ddim", "heun", "dpmpp-2m", "ddim(eta=1)"]
budgets = [4, 8]
rows = %d
[reference]
rtol = 1e-6
[local]
rows = 2
rtol = 1e-5
[stochastic]
fine_steps = 16
[law]
directions = 20
floors = 2
[trace]
rows = 2
`

// dataFiles reads every file that has to repeat of the one run in a folder.
func dataFiles(t *testing.T, out string) map[string][]byte {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("run folders %v, %v: expected one", dirs, err)
	}
	files := map[string][]byte{}
	err = filepath.WalkDir(dirs[0], func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch d.Name() {
		case lockFile, runfile.RunJSON, runfile.TimingsCSV, runfile.ReportHTML: // clock readings
			return nil
		}
		files[strings.TrimPrefix(p, dirs[0])], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameFiles(t *testing.T, want, got map[string][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d and %d files", len(want), len(got))
	}
	for _, name := range []string{runfile.StepsCSV, runfile.SummaryCSV, runfile.TraceNPZ} {
		if want["/"+name] == nil {
			t.Errorf("no %s to compare", name)
		}
	}
	for name, w := range want {
		if !bytes.Equal(w, got[name]) {
			t.Errorf("%s differs: %d and %d bytes", name, len(w), len(got[name]))
		}
	}
}

// A run that is killed at random moments, again and again, ends with the bytes
// of one that was not; so does one on another number of processors.
func TestRun_Resume(t *testing.T) {
	for _, tc := range []struct {
		name, model string
		rows, kills int
		env         string
	}{
		{"gm2d", "gm2d", 200, 12, "SNRLAB_TEST_UNDRAWN=1"},
		{"digits", "digits", 4, 10, "SNRLAB_TEST_UNDRAWN=1"},
		{"drawn", "gm2d", 60, 4, ""}, // kills among the figures too
	} {
		t.Run(tc.name, func(t *testing.T) {
			kills, drawn := tc.kills, tc.env == ""
			if testing.Short() {
				if tc.name != "gm2d" {
					t.Skip("slow under the race detector")
				}
				kills = 4
			}
			text := fmt.Sprintf(small, tc.model, tc.rows)
			whole := t.TempDir()
			begin := time.Now()
			if b, err := child(text, whole, "GOMAXPROCS=1", tc.env).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, b)
			}
			took := time.Since(begin)
			want := dataFiles(t, whole)

			random := rand.New(rand.NewPCG(1, uint64(tc.rows)))
			killed, resumed := 0, 0
			for killed < kills {
				out := t.TempDir()
				for ended := false; !ended; {
					cells := func() int {
						found, _ := filepath.Glob(filepath.Join(out, "*", cellsDir, "*.cell"))
						return len(found)
					}
					before := cells()
					c := child(text, out, "GOMAXPROCS=2", tc.env)
					var stderr bytes.Buffer
					c.Stderr = &stderr
					if err := c.Start(); err != nil {
						t.Fatal(err)
					}
					done := make(chan error, 1)
					go func() { done <- c.Wait() }()
					// Every other kill waits for a new cell first, so that runs get on; figures
					// come when all cells are gone.
					deadline := time.Now().Add(time.Duration(random.Float64() * float64(took)))
					var err error
					for running := true; running; {
						select {
						case err = <-done:
							running = false
						case <-time.After(time.Millisecond):
							if killed < kills && time.Now().After(deadline) && (drawn || killed%2 == 0 || cells() > before) {
								c.Process.Kill()
								err, running = <-done, false
							}
						}
					}
					switch {
					case err == nil:
						ended = true
					case c.ProcessState.ExitCode() != -1:
						t.Fatalf("the run failed: %v: %s", err, stderr.String())
					default:
						killed++
						if cells() > 0 {
							resumed++
						}
					}
				}
				sameFiles(t, want, dataFiles(t, out))
			}
			t.Logf("%d kills, %d of them with finished cells; a whole run takes %v", killed, resumed, took)
			if resumed == 0 && !drawn {
				t.Error("no kill left a finished cell: the test has not resumed anything")
			}
		})
	}
}

// A disk that fills up in the middle is an error that names the file; nothing
// half-written stays behind, and once there is room the run goes on to the
// same bytes.
func TestRun_FullDisk(t *testing.T) {
	text := fmt.Sprintf(small, "gm2d", 60)
	whole := t.TempDir()
	if b, err := child(text, whole).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	out := t.TempDir()
	// A limit on the size of one file stands in for the disk: writing past it
	// fails as writing to a full disk does.
	b, err := child(text, out, "SNRLAB_TEST_LIMIT=12000").CombinedOutput()
	if err == nil || !strings.Contains(string(b), "write") || !strings.Contains(string(b), out) {
		t.Fatalf("got %v: %s; expected an error that names the file", err, b)
	}
	var left []string
	err = filepath.WalkDir(out, func(p string, d fs.DirEntry, err error) error {
		if halfWritten.MatchString(d.Name()) {
			left = append(left, p)
		}
		return err
	})
	if err != nil || len(left) > 0 {
		t.Errorf("half-written files %v, %v", left, err)
	}
	if b, err := child(text, out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	sameFiles(t, dataFiles(t, whole), dataFiles(t, out))
}

func parse(t *testing.T, text string) *Recipe {
	t.Helper()
	r, err := Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stopAt cancels a run when it comes to a stage.
type stopAt struct {
	stage string
	stop  context.CancelFunc
}

func (s stopAt) Report(stage string, _, _ int64) {
	if strings.HasPrefix(stage, s.stage) {
		s.stop()
	}
}

func TestRun_Cancel(t *testing.T) {
	out := t.TempDir()
	text := fmt.Sprintf(small, "gm2d", 50)
	ctx, stop := context.WithCancel(context.Background())
	_, err := Run(ctx, parse(t, text), Options{Out: out, Progress: stopAt{"heun", stop}})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "goes on") {
		t.Fatalf("got %v, expected a stop that says how to go on", err)
	}
	info, err := Run(context.Background(), parse(t, text), Options{Out: out})
	if err != nil {
		t.Fatal(err)
	}
	if info.Found == 0 || info.Computed == 0 || info.Reused {
		t.Errorf("resumed with %d cells found and %d computed: expected some of each", info.Found, info.Computed)
	}
	info, err = Run(context.Background(), parse(t, text), Options{Out: out})
	if err != nil {
		t.Fatal(err)
	}
	if !info.Reused || info.Computed != 0 || len(info.Summary) != 8 {
		t.Errorf("a finished run was not found again: %+v", info)
	}
	if _, err := os.Stat(filepath.Join(info.Dir, cellsDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("cells of a finished run are still there: %v", err)
	}

	// A data file that was changed by hand is not a finished run's.
	path := filepath.Join(info.Dir, runfile.StepsCSV)
	if err := os.WriteFile(path, []byte("solver\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if info, err = Run(context.Background(), parse(t, text), Options{Out: out}); err != nil || info.Reused {
		t.Errorf("a damaged data file: got %+v, %v, expected the run to be made again", info, err)
	}
}

func TestRun_Refuses(t *testing.T) {
	text := fmt.Sprintf(small, "gm2d", 8)
	t.Run("another recipe", func(t *testing.T) {
		out := t.TempDir()
		info, err := Run(context.Background(), parse(t, text), Options{Out: out})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(info.Dir, runfile.RunJSON)
		j, err := runfile.ReadRun(path)
		if err != nil {
			t.Fatal(err)
		}
		j.Hash = strings.Repeat("0", 64)
		if err := runfile.WriteRun(path, j); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(context.Background(), parse(t, text), Options{Out: out}); err == nil || !strings.Contains(err.Error(), "another recipe") {
			t.Errorf("got %v, expected a refusal of another recipe's folder", err)
		}
	})
	t.Run("two processes", func(t *testing.T) {
		out := t.TempDir()
		plan, err := parse(t, text).Plan(Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := openStore(filepath.Join(out, plan.folder()))
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		b, err := child(text, out).CombinedOutput()
		if err == nil || !strings.Contains(string(b), fmt.Sprintf("in use by process %d", os.Getpid())) {
			t.Errorf("got %v: %s; expected an error that names this process", err, b)
		}
	})
	t.Run("unwritable", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(context.Background(), parse(t, text), Options{Out: file}); err == nil || !strings.Contains(err.Error(), "--out") {
			t.Errorf("got %v, expected an error that says to choose another place", err)
		}
	})
}
