package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows how far a run is: a bar with evaluations and the time left on
// a terminal, a plain line now and then elsewhere.
type progress interface {
	Report(stage string, done, total int64)
	// finish ends the display, so that what is printed next stands below it.
	finish()
}

// newProgress counts in units, "evaluations" say.
func newProgress(w io.Writer, quiet bool, unit string) progress {
	switch {
	case quiet:
		return silent{}
	case isTerminal(w):
		return newBar(w, unit)
	default:
		return &lines{w: w, unit: unit, start: time.Now(), last: time.Now()}
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

type silent struct{}

func (silent) Report(string, int64, int64) {}
func (silent) finish()                     {}

// bar is a progress bar of mpb, made at the first report.
type bar struct {
	unit  string
	mu    sync.Mutex
	group *mpb.Progress
	bar   *mpb.Bar
	stage atomic.Value // not under mu: the bar's own goroutine reads it while Report waits for that goroutine
}

func newBar(w io.Writer, unit string, more ...mpb.ContainerOption) *bar {
	return &bar{unit: unit, group: mpb.New(append(more, mpb.WithOutput(w), mpb.WithWidth(72))...)}
}

func (b *bar) Report(stage string, done, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stage.Store(stage)
	if b.bar == nil {
		// A bar that is made with a total keeps it; ours changes on the way.
		b.bar = b.group.AddBar(0,
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return fmt.Sprintf("%-22.22s ", b.stage.Load()) })),
			mpb.AppendDecorators(
				decor.CountersNoUnit("%d/%d "+b.unit+" "),
				decor.OnComplete(decor.AverageETA(decor.ET_STYLE_MMSS), "done"),
			))
	}
	b.bar.SetTotal(total, false)
	b.bar.SetCurrent(done)
}

func (b *bar) finish() {
	b.mu.Lock()
	bar := b.bar
	b.mu.Unlock()
	if bar != nil {
		bar.Abort(false)
	}
	b.group.Wait()
}

// lines prints a line at each new stage, at most one a second, and every ten
// seconds within a stage.
type lines struct {
	mu          sync.Mutex
	w           io.Writer
	unit        string
	start, last time.Time
	stage       string
}

func (l *lines) Report(stage string, done, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	since := now.Sub(l.last)
	if since < time.Second || (stage == l.stage && since < 10*time.Second) {
		return
	}
	l.stage, l.last = stage, now
	left := "?"
	if done > 0 {
		left = time.Duration(float64(now.Sub(l.start)) * float64(total-done) / float64(done)).Round(time.Second).String()
	}
	fmt.Fprintf(l.w, "%s: %d of %d %s, %s left\n", stage, done, total, l.unit, left)
}

func (l *lines) finish() {}
